//! CONTRACT 6: who is calling, whose word counts, and that nobody reaches another's session.

use std::sync::Arc;

use http::Method;
use letterhead_server::app::App;
use serde_json::json;

use crate::support::{Answered, House, Send, app, built, call, memory, said};

const YAML: &str = r#"
model: demo
headers: { properties: { note: {} } }
agents: { assistant: { instructions: "{{ caller.tenant_id }}/{{ caller.user_id }} by {{ caller.source }}. Note: {{ headers.note }}." } }
"#;

fn ours(auth: &str) -> Arc<App> {
    Arc::new(app("", &format!("{auth}\n{}", YAML.trim()), memory))
}

async fn say(app: &Arc<App>, peer: &str, headers: &[(&str, &str)]) -> Answered {
    call(app, peer, built("POST", "/api/v1/chat/completions/s", headers, said("Hi").to_string())).await
}

#[tokio::test]
async fn on_loopback_the_headers_say_who_is_calling() {
    let app = ours("");
    for peer in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
        let answered = say(&app, peer, &[("x-user-id", "u_1"), ("x-tenant-id", "acme")]).await;
        assert!(answered.content().contains("acme/u_1 by"), "{peer}: {}", answered.text);
    }
    let answered = say(&app, "127.0.0.1", &[]).await;
    assert!(answered.content().contains("default/ by anonymous"), "{}", answered.text);
    // Empty is absent.
    let answered = say(&app, "127.0.0.1", &[("x-user-id", "  "), ("x-tenant-id", "")]).await;
    assert!(answered.content().contains("default/ by anonymous"), "{}", answered.text);
}

#[tokio::test]
async fn from_elsewhere_and_with_never_they_say_nothing() {
    let named = [("x-user-id", "u_1"), ("x-tenant-id", "acme")];
    let answered = say(&ours(""), "192.0.2.1", &named).await;
    assert!(answered.content().contains("default/ by anonymous"), "{}", answered.text);
    let answered = say(&ours("auth: { trust_identity_headers: never }"), "127.0.0.1", &named).await;
    assert!(answered.content().contains("default/ by anonymous"), "{}", answered.text);
}

#[tokio::test]
async fn without_a_verifier_callers_from_other_machines_are_strangers_to_each_other() {
    let elsewhere = "192.0.2.1";
    let chat = |id: &str| format!("/api/v1/chat/completions/{id}");
    for (auth, peer, forwarded) in [
        ("", elsewhere, None),
        ("auth: { trust_identity_headers: never }", elsewhere, None),
        ("auth: { trust_identity_headers: never }", "127.0.0.1", Some(("x-forwarded-for", elsewhere))),
    ] {
        let app = ours(auth);
        let ask = |method: &'static str, path: String, user: &'static str| {
            let headers: Vec<_> = [("x-user-id", user)].into_iter().chain(forwarded).collect();
            let body = if method == "POST" { said("Hi").to_string() } else { String::new() };
            let (app, request) = (Arc::clone(&app), built(method, &path, &headers, body));
            async move { call(&app, peer, request).await }
        };
        // The id that both of them choose is nobody's.
        let made = ask("POST", chat("s"), "a").await.header("x-session-id").unwrap().to_owned();
        assert_ne!(made, "s");
        let others = ask("POST", chat("s"), "b").await.header("x-session-id").unwrap().to_owned();
        assert!(others != made && others != "s");
        for path in ["/api/v1/sessions/s", "/api/v1/sessions/s/messages", "/api/v1/sessions/s/trail"] {
            ask("GET", path.to_owned(), "b").await.problem(404, "session_not_found");
        }
        let listed = ask("GET", "/api/v1/sessions".to_owned(), "b").await.json();
        assert_eq!(listed["data"], json!([]), "{auth}");
        // Whoever has the id that the server made goes on with it.
        assert_eq!(ask("POST", chat(&made), "a").await.header("x-session-id"), Some(made.as_str()));
        let key = ("idempotency-key", "order-7");
        let request = built(
            "POST",
            &chat(&made),
            &[key].into_iter().chain(forwarded).collect::<Vec<_>>(),
            said("Hi").to_string(),
        );
        call(&app, peer, request).await.problem(400, "invalid_header");
    }
    // On the machine itself the server is one person's own.
    let app = ours("");
    assert_eq!(say(&app, "127.0.0.1", &[]).await.header("x-session-id"), Some("s"));
    let listed = call(&app, "127.0.0.1", built("GET", "/api/v1/sessions", &[], "")).await.json();
    assert_eq!(listed["data"][0]["id"], "s");
    call(&app, elsewhere, built("GET", "/api/v1/sessions/s", &[], "")).await.problem(404, "session_not_found");
}

#[tokio::test]
async fn a_gateways_network_is_believed_and_nobody_else_gets_in() {
    let app = ours("auth: { trust_identity_headers: [10.0.0.0/8, 'fd00::/8'] }");
    for peer in ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"] {
        let answered = say(&app, peer, &[("x-user-id", "u_1"), ("x-forwarded-for", "203.0.113.9")]).await;
        assert!(answered.content().contains("default/u_1 by"), "{peer}: {}", answered.text);
    }
    // There is a verifier now: strangers, and a gateway that names nobody, are 401.
    for (peer, headers) in [
        ("192.0.2.1", vec![("x-user-id", "u_1")]),
        ("127.0.0.1", vec![("x-user-id", "u_1")]),
        ("192.0.2.1", vec![("x-user-id", "u_1"), ("x-forwarded-for", "10.0.0.1")]),
        ("10.1.2.3", vec![]),
        ("10.1.2.3", vec![("x-tenant-id", "acme")]),
    ] {
        let answered = say(&app, peer, &headers).await;
        answered.problem(401, "unauthenticated");
        assert_eq!(answered.header("www-authenticate"), Some("Bearer"), "{peer}");
    }
    for path in ["/v1/models", "/api/v1/sessions", "/api/v1/sessions/s", "/no/such/path", "/api/chat/s/stream"] {
        call(&app, "192.0.2.1", built("GET", path, &[], "")).await.problem(401, "unauthenticated");
    }
    for path in ["/health", "/ready"] {
        assert_eq!(call(&app, "192.0.2.1", built("GET", path, &[], "")).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_refused_caller_learns_nothing_of_the_headers_faults() {
    let app = ours("auth: { trust_identity_headers: [10.0.0.0/8] }");
    let answered = say(&app, "192.0.2.1", &[("note", "a\u{9b}b")]).await;
    answered.problem(401, "unauthenticated");
    assert!(answered.faults().is_empty());
}

#[tokio::test]
async fn anonymous_callers_may_be_denied_or_allowed_in_so_many_words() {
    let denied = ours("auth: { anonymous: deny }");
    say(&denied, "127.0.0.1", &[]).await.problem(401, "unauthenticated");
    say(&denied, "127.0.0.1", &[("x-tenant-id", "acme")]).await.problem(401, "unauthenticated");
    assert_eq!(say(&denied, "127.0.0.1", &[("x-user-id", "u")]).await.status, 200);
    let allowed = ours("auth: { trust_identity_headers: [10.0.0.0/8], anonymous: allow }");
    assert!(say(&allowed, "192.0.2.1", &[("x-user-id", "u")]).await.content().contains("default/ by anonymous"));
}

#[tokio::test]
async fn a_proxy_in_front_of_a_server_that_trusts_loopback_is_refused() {
    let app = ours("");
    for header in ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"] {
        say(&app, "127.0.0.1", &[(header, "for=192.0.2.1")]).await.problem(403, "proxy_without_auth");
        let listing = call(&app, "127.0.0.1", built("GET", "/api/v1/sessions", &[(header, "x")], "")).await;
        listing.problem(403, "proxy_without_auth");
    }
    let distrustful = ours("auth: { trust_identity_headers: never }");
    assert_eq!(say(&distrustful, "127.0.0.1", &[("x-forwarded-for", "192.0.2.1")]).await.status, 200);
}

#[tokio::test]
async fn identity_headers_come_once_short_and_plain() {
    let app = ours("");
    let long = "x".repeat(257);
    for (headers, code) in [
        (vec![("x-user-id", "a"), ("x-user-id", "a")], "ambiguous_header"),
        (vec![("x-user-id", "a"), ("X-USER-ID", "b")], "ambiguous_header"),
        (vec![("x-tenant-id", long.as_str())], "invalid_header"),
        (vec![("x-client-id", "a\u{9b}b")], "invalid_header_value"),
        (vec![("x-is-eval", "maybe")], "invalid_header"),
        (vec![("x-session-id", "no/id")], "invalid_session_id"),
    ] {
        let answered = say(&app, "127.0.0.1", &headers).await;
        answered.problem(400, code);
        assert_eq!(answered.faults().len(), 1, "{headers:?}");
    }
    assert_eq!(say(&app, "127.0.0.1", &[("x-tenant-id", &long[..256])]).await.status, 200);
    // Their exact name: another spelling is another header, and not declared.
    assert!(say(&app, "127.0.0.1", &[("x_user_id", "a")]).await.content().contains("by anonymous"));
}

#[tokio::test]
async fn a_guessed_id_opens_ones_own_empty_session_and_never_anothers() {
    let house = House::alone(YAML).await;
    let as_user = |method: Method, path: &str, tenant: &str, user: &str| {
        let request = house.request(method, path);
        let request = if tenant.is_empty() { request } else { request.header("x-tenant-id", tenant) };
        if user.is_empty() { request } else { request.header("x-user-id", user) }
    };
    let chat = "/api/v1/chat/completions/shared";
    let mine = as_user(Method::POST, chat, "acme", "alice").header("note", "ALICES-NOTE").json(&said("ALICES-WORDS"));
    assert_eq!(mine.answered().await.status, 200);
    // Another user, another tenant's user of the same name, a tenant without a user, nobody at all.
    for (tenant, user) in [("acme", "bob"), ("other", "alice"), ("", "alice"), ("acme", ""), ("", "")] {
        let who = format!("{tenant}/{user}");
        for suffix in ["", "/messages", "/trail"] {
            let path = format!("/api/v1/sessions/shared{suffix}");
            as_user(Method::GET, &path, tenant, user).answered().await.problem(404, "session_not_found");
        }
        let deleted = as_user(Method::DELETE, "/api/v1/sessions/shared", tenant, user).answered().await;
        deleted.problem(404, "session_not_found");
        let absent = as_user(Method::DELETE, "/api/v1/sessions/absent", tenant, user).answered().await;
        let (mut one, mut other) = (deleted.json(), absent.json());
        (one["request_id"], other["request_id"]) = (json!(0), json!(0));
        assert_eq!(one, other, "others' sessions are told from absent ones");

        let theirs = as_user(Method::POST, chat, tenant, user).json(&said("Hello")).answered().await;
        assert!(!theirs.content().contains("ALICE"), "{who}: {}", theirs.text);
        assert!(theirs.content().contains("I was sent 1 message."), "{who}: {}", theirs.text);
        let list = as_user(Method::GET, "/api/v1/sessions", tenant, user);
        assert_eq!(house.rows(list).await.len(), 1, "{who}");
    }
    let again = as_user(Method::POST, chat, "acme", "alice").json(&said("Again")).answered().await;
    assert!(again.content().contains("ALICES-NOTE") && again.content().contains("I was sent 3 messages."));
}

#[tokio::test]
async fn no_field_of_a_body_says_who_is_calling() {
    let house = House::alone(YAML).await;
    let body = json!({
        "messages": [{ "role": "user", "content": "Hi" }], "user": "alice", "tenant": "acme", "user_id": "alice",
        "metadata": { "user_id": "alice" },
    });
    let answered = house.post("/v1/chat/completions", &body).answered().await;
    assert!(answered.content().contains("default/ by anonymous"), "{}", answered.text);
}

#[tokio::test]
async fn without_a_verifier_authorization_is_ignored() {
    let house = House::alone(YAML).await;
    for value in ["Bearer sk-dummy", "Bearer lh_1_x", "Basic YTpi", "nonsense"] {
        let answered = house.say("Hi").header("authorization", value).answered().await;
        assert!(answered.content().contains("by anonymous"), "{}", answered.text);
    }
}

#[tokio::test]
async fn a_stranger_goes_on_only_with_an_id_that_was_made_for_it() {
    let app = ours("auth: { trust_identity_headers: [10.0.0.0/8], anonymous: allow }");
    let say = |session: &str| {
        let headers = [("x-session-id", session)];
        let body = said("Hi").to_string();
        let request = built("POST", "/api/v1/chat/completions", if session.is_empty() { &[] } else { &headers }, body);
        let app = Arc::clone(&app);
        async move { call(&app, "192.0.2.1", request).await }
    };
    let first = say("").await;
    let made = first.header("x-session-id").unwrap().to_owned();
    let second = say(&made).await;
    assert_eq!(second.header("x-session-id"), Some(made.as_str()));
    assert!(second.content().contains("I was sent 3 messages."));
    // An id that somebody chose, or a well-formed one that was not made here, is a fresh session under a new id.
    for chosen in ["my-session", "6f1f4b0e-5d7c-4a55-9d0e-0a4f4b8f1a11"] {
        let answered = say(chosen).await;
        assert!(answered.content().contains("I was sent 1 message."));
        assert_ne!(answered.header("x-session-id"), Some(chosen));
    }
    // The id is the capability: it reads its session, and no list shows it.
    let path = format!("/api/v1/sessions/{made}/messages");
    assert_eq!(call(&app, "192.0.2.7", built("GET", &path, &[], "")).await.status, 200);
    let list = call(&app, "192.0.2.1", built("GET", "/api/v1/sessions", &[], "")).await;
    assert_eq!(list.json()["data"], json!([]));
}

#[tokio::test]
async fn what_a_local_person_left_behind_is_no_strangers() {
    let store = memory();
    let yaml = |auth: &str| format!("{auth}\n{}", YAML.trim());
    let alone = Arc::new(app("", &yaml(""), || Arc::clone(&store)));
    assert_eq!(say(&alone, "127.0.0.1", &[]).await.status, 200);
    let path = "/api/v1/sessions/s";
    assert_eq!(call(&alone, "127.0.0.1", built("GET", path, &[], "")).await.status, 200);
    // The same store, and strangers may come: the session has no user either, and an id that can be guessed.
    let open = Arc::new(app("", &yaml("auth: { api_keys: true, anonymous: allow }"), || Arc::clone(&store)));
    for (method, path) in [("GET", "/api/v1/sessions/s"), ("GET", "/api/v1/sessions/s/messages"), ("DELETE", path)] {
        call(&open, "192.0.2.1", built(method, path, &[], "")).await.problem(404, "session_not_found");
    }
    let theirs = say(&open, "192.0.2.1", &[]).await;
    assert_ne!(theirs.header("x-session-id"), Some("s"));
    assert!(theirs.content().contains("I was sent 1 message."));
}

#[tokio::test]
async fn a_faulty_identity_header_does_not_hide_what_the_others_say() {
    let yaml = "headers: { required: [note], properties: { note: {} } }\nauth: { anonymous: deny }\n";
    let house = House::alone(&format!("{yaml}agents: {{ a: {{ instructions: '{{{{ headers.note }}}}' }} }}")).await;
    let chat = |note: &str, client: &str| {
        let request = house.say_in("s", "Hi").header("x-user-id", "alice").header("x-client-id", client);
        if note.is_empty() { request } else { request.header("note", note) }
    };
    assert_eq!(chat("n", "web").answered().await.status, 200);
    // The note is stored in alice's session, so it is not missing; the client's id is all that is wrong.
    let answered = chat("", &"x".repeat(300)).answered().await;
    answered.problem(400, "invalid_header");
    assert_eq!(answered.faults(), [("X-Client-Id".to_owned(), "invalid_header".to_owned())]);
}
