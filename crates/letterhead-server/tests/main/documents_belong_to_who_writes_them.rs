//! CONTRACT 11: documents over HTTP: how they are written and read, on which conditions, and what is refused.

use std::sync::Arc;

use letterhead_context::TenantId;
use letterhead_server::auth::KeyText;
use letterhead_store::{ApiKey, Store};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answered, House, Send};

const YAML: &str = "agents: { assistant: { instructions: Hi., tools: [lookup] } }";

/// A server that takes API keys and trusts headers of this machine.
const WITH_KEYS: &str = "auth: { api_keys: true, trust_identity_headers: loopback, anonymous: allow }\n\
                         limits: { document_size: 1KiB, documents_per_user: 3 }\n\
                         agents: { assistant: { instructions: Hi., tools: [lookup] } }";

fn doc(house: &House, method: Method, key: &str) -> RequestBuilder {
    house.request(method, &format!("/api/v1/docs/{key}"))
}

fn by(user: &str, request: RequestBuilder) -> RequestBuilder {
    request.header("x-user-id", user)
}

fn markdown(request: RequestBuilder, text: impl Into<reqwest::Body>) -> RequestBuilder {
    request.header("content-type", "text/markdown; charset=UTF-8").body(text)
}

async fn put(house: &House, user: &str, key: &str, text: &str) -> Answered {
    by(user, markdown(doc(house, Method::PUT, key), text.to_owned())).answered().await
}

/// Makes an API key in the store.
pub(crate) async fn api_key(store: &dyn Store, tenant: &str, scopes: &[&str], on_behalf: bool) -> String {
    let text = KeyText::generate().unwrap();
    let key = ApiKey {
        id: Arc::clone(text.id()),
        name: "writer".into(),
        tenant: TenantId::new(tenant),
        scopes: scopes.iter().map(|scope| Arc::from(*scope)).collect(),
        on_behalf,
        created_at_ms: 0,
        expires_at_ms: None,
        revoked_at_ms: None,
        secret_sha256: text.secret_sha256(),
    };
    store.create_api_key(key).await.unwrap();
    text.reveal().to_string()
}

#[tokio::test]
async fn a_document_is_written_in_two_forms_and_read_in_one() {
    let house = House::alone(YAML).await;
    let body = json!({ "title": "Zoë's notes", "tags": ["a", "b c"], "text": "# One\n\u{1f4dd}" });
    let made = by("ada", doc(&house, Method::PUT, "My-Notes").json(&body)).answered().await;
    assert_eq!(made.status, 201, "{}", made.text);
    let head = made.json();
    let created = head["created_at"].as_i64().unwrap();
    assert_eq!(
        head,
        json!({ "key": "my-notes", "title": "Zoë's notes", "tags": ["a", "b c"], "shared": false, "size": 10,
                "created_at": created, "updated_at": created })
    );
    let read = by("ada", doc(&house, Method::GET, "MY-NOTES")).answered().await;
    let mut whole = head.clone();
    whole["text"] = body["text"].clone();
    assert_eq!((read.status, read.json()), (200, whole.clone()));
    assert_eq!(read.header("etag"), made.header("etag"));
    assert_eq!(read.header("cache-control"), Some("private, no-cache"));

    // What was read can be sent back as it is.
    let again = by("ada", doc(&house, Method::PUT, "my-notes").json(&whole)).answered().await;
    assert_eq!((again.status, again.json()["title"].clone()), (200, json!("Zoë's notes")));
    assert_ne!(again.header("etag"), made.header("etag"));

    let text =
        "\u{feff}---\r\nentity_key: MY-notes\ntitle: \"Other: notes\"\ntags: [x]\nlayout: default\n---\r\n\nText\n";
    let replaced = put(&house, "ada", "my-notes", text).await;
    assert_eq!(replaced.status, 200, "{}", replaced.text);
    let read = by("ada", doc(&house, Method::GET, "my-notes")).answered().await.json();
    assert_eq!(
        (&read["title"], &read["tags"], &read["text"]),
        (&json!("Other: notes"), &json!(["x"]), &json!("Text\n"))
    );

    let gone = by("ada", doc(&house, Method::DELETE, "My-Notes")).answered().await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    for method in [Method::GET, Method::DELETE] {
        by("ada", doc(&house, method, "my-notes")).answered().await.problem(404, "document_not_found");
    }
}

#[tokio::test]
async fn what_cannot_be_a_document_is_refused_with_what_to_do() {
    let house = House::alone(WITH_KEYS).await;
    let put = async |key: &str, media: &str, body: Vec<u8>| {
        let request = doc(&house, Method::PUT, key).header("content-type", media).body(body);
        by("ada", request).answered().await
    };
    for (body, says) in [
        (json!({ "text": "a", "tag": ["b"] }), "a document has `title`, `tags` and `text`"),
        (json!({ "title": "a" }), "`/text`: the document's text is missing"),
        (json!({ "text": null }), "`/text`: the document's text is missing"),
        (json!({ "text": 7 }), "`/text`: expected a text"),
        (json!({ "text": " \n" }), "the document has no text"),
        (json!({ "text": "a\nb\u{0}" }), "line 2 has control characters"),
        (json!({ "text": "a", "tags": "b" }), "`/tags`: expected a list of texts"),
        (json!({ "text": "a", "tags": ["b", ""] }), "a tag is 1 to 64 characters"),
        (json!({ "text": "a", "title": "x".repeat(300) }), "at most 200 characters"),
        (json!({ "text": "a", "key": "other" }), "another key than that in the path"),
        (json!(["text"]), "no object"),
    ] {
        let refused = put("k", "application/json", body.to_string().into_bytes()).await;
        refused.problem(400, "invalid_body");
        assert!(refused.text.contains(says), "{body}: {}", refused.text);
    }
    for (body, says) in [
        (&b"ok\nna\xefve"[..], "line 2 is not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "line 1 is not UTF-8"),
        (b"\x7fELF\x02\x01", "line 1 has control characters"),
        (b"", "the document has no text"),
        (b"---\ntitle: x\n---\n", "the document has no text"),
        (b"---\ntitle: a: b\n---\nx", "line 2, column 9: not valid YAML"),
        (b"---\ntitle: x\nand no end", "line 1, column 1: the front matter begins here, and does not end"),
        (b"---\nentity_key: other\n---\nx", "another key than that in the path"),
        (b"---\nentity_key: ../../etc/passwd\n---\nx", "line 2, column 13: a key is 1 to 128"),
        (b"---\nEntity-Key: k\n---\nx", "did you mean `entity_key`?"),
    ] {
        let refused = put("k", "text/markdown", body.to_vec()).await;
        refused.problem(400, "invalid_body");
        assert!(refused.text.contains(says), "{:?}: {}", String::from_utf8_lossy(body), refused.text);
    }
    let broken = put("k", "application/json", b"{\"text\":\"\xff\"}".to_vec()).await;
    broken.problem(400, "invalid_body");
    put("k", "application/json", br#"{"text":"a","text":"b"}"#.to_vec()).await.problem(400, "invalid_body");
    for media in ["text/plain", "application/x-www-form-urlencoded", "text/markdown; charset=latin1", "application/pdf"]
    {
        put("k", media, b"x".to_vec()).await.problem(415, "unsupported_media_type");
    }
    let silent = by("ada", doc(&house, Method::PUT, "k").body("x")).answered().await;
    silent.problem(415, "unsupported_media_type");
    assert!(silent.text.contains("text/markdown"), "{}", silent.text);

    put("k", "text/markdown", vec![b'x'; 1025]).await.problem(413, "body_too_large");
    assert_eq!(put("k", "text/markdown", vec![b'x'; 1024]).await.status, 201);
    let huge = put("k", "text/markdown", vec![b'x'; 5 << 20]).await;
    huge.problem(413, "body_too_large");

    for key in
        ["..", "%2e%2e", ".hidden", "a%2Fb", "..%2f..%2fetc%2fpasswd", "a%5cb", "a%00", "a%20b", "%C3%A4", "%ff", "-x"]
    {
        let refused = put(key, "text/markdown", b"x".to_vec()).await;
        // A client, or what is between, may take the dots for a way up: then there is nothing.
        let is_way_up = refused.status == 404 || refused.status == 405;
        if !is_way_up {
            refused.problem(400, "invalid_document_key");
        }
        assert!(!is_way_up || key.contains("..") || key.contains("%2e"), "{key}: {}", refused.text);
        by("ada", doc(&house, Method::GET, key)).answered().await;
    }
    put(&"k".repeat(129), "text/markdown", b"x".to_vec()).await.problem(400, "invalid_document_key");
    for path in ["/api/v1/docs/", "/api/v1/docs/a/b"] {
        by("ada", house.request(Method::GET, path)).answered().await.problem(404, "not_found");
    }
    for (query, says) in
        [("shared=yes", "`shared`"), ("limit=0", "`limit`"), ("limit=1&limit=2", "query"), ("after=a%2Fb", "`after`")]
    {
        let refused = by("ada", house.get(&format!("/api/v1/docs?{query}"))).answered().await;
        refused.problem(400, "invalid_body");
        assert!(refused.text.contains(says), "{}", refused.text);
    }
    // One that is misspelt is not passed over: the document would be written for somebody else.
    for (method, path, says) in [
        (
            Method::GET,
            "/api/v1/docs?tags=x",
            "`tags` is not known here; there can be `limit`, `after`, `tag`, `shared`",
        ),
        (Method::GET, "/api/v1/docs/k2?limit=1", "`limit` is not known here; there can be `shared`"),
        (Method::PUT, "/api/v1/docs/k2?Shared=true", "`Shared` is not known"),
        (Method::PUT, "/api/v1/docs/k2?share=true&share=true", "`share` is not known"),
        (Method::DELETE, "/api/v1/docs/k2?tenant=acme", "`tenant` is not known"),
    ] {
        let refused = by("ada", markdown(house.request(method, path), "x".to_owned())).answered().await;
        refused.problem(400, "invalid_body");
        assert!(refused.text.contains(says), "{}", refused.text);
    }
    let comma = put("k2", "text/markdown", b"---\ntags: a, b\n---\nx".to_vec()).await;
    comma.problem(400, "invalid_body");
    // There was room for three; what replaces one needs none.
    for key in ["k2", "k3"] {
        assert_eq!(put(key, "text/markdown", b"x".to_vec()).await.status, 201);
    }
    put("k4", "text/markdown", b"x".to_vec()).await.problem(409, "documents_full");
    assert_eq!(put("k3", "text/markdown", b"y".to_vec()).await.status, 200);
}

#[tokio::test]
async fn a_writer_may_say_what_it_changes() {
    let house = House::alone(YAML).await;
    let write = async |text: &str, condition: (&str, &str)| {
        let request = markdown(doc(&house, Method::PUT, "k"), text.to_owned()).header(condition.0, condition.1);
        by("ada", request).answered().await
    };
    let first = write("1", ("if-none-match", "*")).await;
    assert_eq!(first.status, 201);
    write("x", ("if-none-match", "*")).await.problem(412, "precondition_failed");
    let tag = first.header("etag").unwrap();
    assert_eq!(write("2", ("if-match", tag)).await.status, 200);
    let late = write("x", ("if-match", tag)).await;
    late.problem(412, "precondition_failed");
    for odd in ["*", "W/\"1\"", tag.trim_matches('"'), "\"\"", "\"a\", \"b\""] {
        write("x", ("if-match", odd)).await.problem(400, "invalid_body");
    }
    write("x", ("if-none-match", tag)).await.problem(400, "invalid_body");
    by("ada", doc(&house, Method::DELETE, "k").header("if-match", tag))
        .answered()
        .await
        .problem(412, "precondition_failed");
    // Somebody else's tag says nothing of one's own, nor of theirs.
    let theirs = markdown(doc(&house, Method::PUT, "k"), "x").header("if-match", tag);
    by("bob", theirs).answered().await.problem(412, "precondition_failed");
    assert_eq!(by("ada", doc(&house, Method::GET, "k")).answered().await.json()["text"], "2");

    // Of many at once one wins, and each of the others is told.
    let current = by("ada", doc(&house, Method::GET, "k")).answered().await;
    let tag = current.header("etag").unwrap();
    let all = (0..12).map(|n| {
        let request = markdown(doc(&house, Method::PUT, "k"), format!("writer {n}")).header("if-match", tag);
        by("ada", request).answered()
    });
    let all = futures_util::future::join_all(all).await;
    let winners: Vec<usize> = (0..12).filter(|n| all[*n].status == 200).collect();
    assert_eq!((winners.len(), all.iter().filter(|answered| answered.status == 412).count()), (1, 11));
    let text = by("ada", doc(&house, Method::GET, "k")).answered().await.json()["text"].clone();
    assert_eq!(text, format!("writer {}", winners[0]));
    // Without a condition the last one wins, and none of them leaves half of its text.
    let all = (0..12).map(|n| put(&house, "ada", "k", if n % 2 == 0 { "aaaaaaaaaaaaaaaa" } else { "bbbb" }));
    for answered in futures_util::future::join_all(all.collect::<Vec<_>>()).await {
        assert_eq!(answered.status, 200);
    }
    let read = by("ada", doc(&house, Method::GET, "k")).answered().await.json();
    assert!(["aaaaaaaaaaaaaaaa", "bbbb"].contains(&read["text"].as_str().unwrap()));
    assert_eq!(read["size"], read["text"].as_str().unwrap().len());
}

#[tokio::test]
async fn what_is_shared_is_written_by_a_key_with_the_scope_and_by_nobody_else() {
    let house = House::alone(WITH_KEYS).await;
    let store = &*house.app.store;
    let writer = api_key(store, "acme", &["docs:write"], false).await;
    let plain = api_key(store, "acme", &[], false).await;
    let acting = api_key(store, "acme", &["docs:write"], true).await;
    let with = |key: &str, method: Method, path: &str| doc(&house, method, path).bearer_auth(key);
    let shared = "faq?shared=true";
    let made = markdown(with(&writer, Method::PUT, shared), "everybody's").answered().await;
    assert_eq!((made.status, made.json()["shared"].clone()), (201, json!(true)), "{}", made.text);
    for (who, request) in [
        ("a key without the scope", with(&plain, Method::PUT, shared)),
        ("a user", by("ada", doc(&house, Method::PUT, shared)).header("x-tenant-id", "acme")),
        ("nobody", doc(&house, Method::PUT, shared).header("x-tenant-id", "acme")),
    ] {
        let refused = markdown(request, "poison").answered().await;
        refused.problem(403, "insufficient_scope");
        let challenge = "Bearer error=\"insufficient_scope\", scope=\"docs:write\"";
        assert_eq!(refused.header("www-authenticate"), Some(challenge), "{who}");
        assert!(refused.text.contains("docs:write"), "{who}: {}", refused.text);
    }
    for request in [
        with(&plain, Method::DELETE, shared),
        by("ada", doc(&house, Method::DELETE, shared)).header("x-tenant-id", "acme"),
    ] {
        request.answered().await.problem(403, "insufficient_scope");
    }
    // Without the word, a key writes what is its own; on behalf of a user, what is that user's.
    assert_eq!(markdown(with(&writer, Method::PUT, "faq"), "the key's own").answered().await.status, 201);
    let for_ada = by("ada", with(&acting, Method::PUT, "faq"));
    assert_eq!(markdown(for_ada, "ada's own").answered().await.json()["shared"], false);
    let text = async |request: RequestBuilder| request.answered().await.json()["text"].clone();
    let ada = || by("ada", doc(&house, Method::GET, "faq")).header("x-tenant-id", "acme");
    assert_eq!(text(with(&writer, Method::GET, "faq")).await, "the key's own");
    assert_eq!(text(ada()).await, "ada's own");
    assert_eq!(text(ada().query(&[("shared", "true")])).await, "everybody's");
    assert_eq!(text(doc(&house, Method::GET, "faq").header("x-tenant-id", "acme")).await, "everybody's");
    // Another tenant has none of it.
    doc(&house, Method::GET, "faq").answered().await.problem(404, "document_not_found");

    // Who is nobody in particular has nothing of its own, and writes nothing.
    let nobody = |method| doc(&house, method, "mine").header("x-tenant-id", "acme");
    let refused = markdown(nobody(Method::PUT), "x").answered().await;
    refused.problem(401, "unauthenticated");
    assert!(refused.text.contains("belongs to the user who writes it"), "{}", refused.text);
    nobody(Method::DELETE).answered().await.problem(401, "unauthenticated");
    // A user's limit is not that of what is shared.
    for n in 0..5 {
        let path = format!("shared-{n}?shared=true");
        assert_eq!(markdown(with(&writer, Method::PUT, &path), "x").answered().await.status, 201);
    }
    assert_eq!(with(&writer, Method::DELETE, shared).answered().await.status, 204);
    assert_eq!(text(with(&writer, Method::GET, "faq")).await, "the key's own");
}

#[tokio::test]
async fn documents_are_listed_in_pages_and_by_tag() {
    let house = House::alone(WITH_KEYS).await;
    let writer = api_key(&*house.app.store, "default", &["docs:write"], false).await;
    for (key, tags) in [("b", "[x]"), ("d", "[y]"), ("c", "[x]")] {
        let path = format!("/api/v1/docs/{key}?shared=true");
        let text = format!("---\ntags: {tags}\n---\nshared");
        let made = markdown(house.request(Method::PUT, &path).bearer_auth(&writer), text).answered().await;
        assert_eq!(made.status, 201);
    }
    put(&house, "ada", "a", "---\ntags: [x]\n---\nown").await;
    put(&house, "ada", "c", "own, without the tag").await;
    let keys = async |query: &str| {
        let answered = by("ada", house.get(&format!("/api/v1/docs{query}"))).answered().await;
        let body = answered.json();
        assert_eq!((answered.status, &body["object"]), (200, &json!("list")));
        let rows: Vec<String> = body["data"].as_array().unwrap().iter().map(shown).collect();
        (rows.join(" "), body["has_more"].as_bool().unwrap())
    };
    fn shown(row: &Value) -> String {
        assert!(row.get("text").is_none() && row["size"].is_u64());
        format!("{}{}", row["key"].as_str().unwrap(), if row["shared"] == true { "*" } else { "" })
    }
    assert_eq!(keys("").await, ("a b* c d*".into(), false));
    assert_eq!(keys("?limit=2").await, ("a b*".into(), true));
    assert_eq!(keys("?limit=2&after=B").await, ("c d*".into(), false));
    assert_eq!(keys("?tag=x").await, ("a b*".into(), false));
    assert_eq!(keys("?shared=true").await, ("b* c* d*".into(), false));
    assert_eq!(keys("?shared=true&tag=x").await, ("b* c*".into(), false));
    assert_eq!(keys("?shared=false").await, ("a c".into(), false));
    let nobody = house.get("/api/v1/docs").answered().await.json();
    assert_eq!(nobody["data"].as_array().unwrap().iter().map(shown).collect::<Vec<_>>(), ["b*", "c*", "d*"]);
}

#[tokio::test]
async fn pages_of_named_origins_may_write_them() {
    let yaml = format!("server: {{ cors: ['https://app.example.com'] }}\n{YAML}");
    let house = House::alone(&yaml).await;
    let asked = doc(&house, Method::OPTIONS, "k")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type, if-match, x-user-id")
        .answered()
        .await;
    assert_eq!(asked.status, 204);
    assert!(asked.header("access-control-allow-methods").unwrap().contains("PUT"));
    assert_eq!(asked.header("access-control-allow-headers"), Some("content-type, if-match, x-user-id"));
    let made = by("ada", markdown(doc(&house, Method::PUT, "k"), "x")).header("origin", "https://app.example.com");
    let made = made.answered().await;
    assert!(made.status == 201 && made.header("access-control-expose-headers").unwrap().contains("etag"));
    let foreign = by("ada", markdown(doc(&house, Method::PUT, "k"), "poison")).header("origin", "https://evil.example");
    foreign.answered().await.problem(403, "origin_not_allowed");
}
