//! CONTRACT 6, "before anything else": Host, Origin, content type, CORS, on every route.

use reqwest::{Method, RequestBuilder};

use crate::support::{House, Send, built, call, request, said};

const YAML: &str = r#"
server: { hosts: [agents.example.com], cors: ["https://app.example.com"] }
model: demo
runtime_headers: [X-Trace-*]
headers: { properties: { user_id: {} } }
agents: { assistant: { instructions: "For {{ headers.user_id }}." } }
"#;

const ROUTES: [(&str, &str); 9] = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/api/v1/chat/completions"),
    ("POST", "/api/v1/chat/completions/s"),
    ("POST", "/api/chat"),
    ("GET", "/v1/models"),
    ("GET", "/api/v1/sessions"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/no/such/path"),
];

#[tokio::test]
async fn a_foreign_host_is_refused_on_every_route() {
    let house = House::alone(YAML).await;
    for (method, path) in ROUTES {
        let method: Method = method.parse().unwrap();
        for host in ["evil.example.com", "localhost.evil.example", "192.0.2.1:8080", "agents.example.com.evil.example"]
        {
            let request = house.request(method.clone(), path).header("host", host).json(&said("Hi"));
            request.answered().await.problem(403, "unknown_host");
        }
    }
    for host in ["localhost", "LocalHost:99", "127.0.0.1", "[::1]:8080", "agents.example.com", "Agents.Example.com:443"]
    {
        let answered = house.say("Hi").header("host", host).answered().await;
        assert_eq!(answered.status, 200, "{host}: {}", answered.text);
    }
}

#[tokio::test]
async fn a_request_without_a_host_or_with_two_is_refused() {
    let house = House::alone(YAML).await;
    let body = said("Hi").to_string();
    let twice = house.raw("/v1/chat/completions", &[("host", b"localhost")], body.as_bytes()).await;
    assert!(matches!(twice.status, 400 | 403), "{}", twice.text);
    let mut wire = house.wire().await;
    wire.send(b"GET /health HTTP/1.0\r\n\r\n").await;
    let answer = wire.rest().await;
    crate::support::parse(&answer).problem(403, "unknown_host");
    // A request line with a whole URL names a host, too.
    let mut wire = house.wire().await;
    wire.send(b"GET http://evil.example.com/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    crate::support::parse(&wire.rest().await).problem(403, "unknown_host");
}

#[tokio::test]
async fn behind_a_gateway_that_verifies_the_host_does_not_matter() {
    let house =
        House::alone(&YAML.replace("server:", "auth: { trust_identity_headers: [127.0.0.0/8] }\nserver:")).await;
    let answered = house.say("Hi").header("host", "anything.example").header("x-user-id", "u").answered().await;
    assert_eq!(answered.status, 200, "{}", answered.text);
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_is_refused_on_every_route() {
    let house = House::alone(YAML).await;
    for (method, path) in ROUTES {
        let method: Method = method.parse().unwrap();
        let send = |name: &str, value: &str| {
            house.request(method.clone(), path).header(name, value).json(&said("Hi")).answered()
        };
        for origin in ["https://evil.example.com", "null", "http://app.example.com", "https://app.example.com:444"] {
            let answered = send("origin", origin).await;
            answered.problem(403, "origin_not_allowed");
            assert!(answered.header("access-control-allow-origin").is_none(), "{path} {origin}");
        }
        send("sec-fetch-site", "cross-site").await.problem(403, "origin_not_allowed");
    }
}

#[tokio::test]
async fn our_own_origin_and_a_listed_one_are_answered_and_the_listed_may_read() {
    let house = House::alone(YAML).await;
    let own = format!("http://{}", house.address);
    assert_eq!(house.say("Hi").header("origin", &own).answered().await.status, 200);
    assert_eq!(house.say("Hi").header("sec-fetch-site", "same-origin").answered().await.status, 200);
    let cross = house.say("Hi").header("origin", &own).header("sec-fetch-site", "cross-site").answered().await;
    cross.problem(403, "origin_not_allowed");

    let listed = |request: RequestBuilder| {
        request.header("origin", "https://app.example.com").header("sec-fetch-site", "cross-site").answered()
    };
    // Answers and errors alike: a page must be able to read why it was refused.
    for (answered, status) in [(listed(house.say("Hi")).await, 200), (listed(house.get("/nowhere")).await, 404)] {
        assert_eq!(answered.status, status, "{}", answered.text);
        assert_eq!(answered.header("access-control-allow-origin"), Some("https://app.example.com"));
        assert_eq!(answered.header("vary"), Some("origin"));
        let exposed = answered.header("access-control-expose-headers").unwrap().to_owned();
        for name in ["x-session-id", "x-request-id", "retry-after", "x-should-retry"] {
            assert!(exposed.split(", ").any(|exposed| exposed == name), "{name}");
        }
    }
    // What a cache keeps of one who is no page is not for pages.
    let card = house.get("/.well-known/agent-card.json").answered().await;
    assert_eq!((card.header("vary"), card.header("access-control-allow-origin")), (Some("origin"), None));
}

#[tokio::test]
async fn a_preflight_allows_what_means_something_here_and_nothing_else() {
    let house = House::alone(YAML).await;
    let preflight = |origin: &str, asked: &str| {
        house
            .request(Method::OPTIONS, "/v1/chat/completions")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", asked)
            .answered()
    };
    let wanted = [
        "content-type",
        "authorization",
        "user_id",
        "user-id",
        "x-user-id",
        "x-session-id",
        "x-is-eval",
        "x-trace-color",
        "x-stainless-os",
        "x-stainless-retry-count",
        "idempotency-key",
        "mcp-protocol-version",
        "a2a-version",
    ];
    let asked = format!("{}, x-other, cookie, x-forwarded-for", wanted.join(", "));
    let answered = preflight("https://app.example.com", &asked).await;
    assert_eq!((answered.status, answered.text.as_str()), (204, ""));
    assert_eq!(answered.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(answered.header("access-control-allow-methods"), Some("GET, POST, PUT, DELETE"));
    assert_eq!(answered.header("access-control-allow-headers"), Some(wanted.join(", ").as_str()));
    assert!(answered.header("access-control-allow-credentials").is_none());
    preflight("https://evil.example.com", "content-type").await.problem(403, "origin_not_allowed");
}

#[tokio::test]
async fn with_a_verifier_all_origins_may_be_allowed_and_without_one_not() {
    let verified = "auth: { trust_identity_headers: [127.0.0.0/8] }\nserver: { cors: ['*'] }\nagents: { a: {} }";
    let house = House::alone(verified).await;
    let request = house.say("Hi").header("origin", "https://any.example").header("x-user-id", "u");
    assert_eq!(request.answered().await.header("access-control-allow-origin"), Some("https://any.example"));
    let open = "server: { cors: ['*'] }\nagents: { a: {} }";
    let report = letterhead_server::assembly::check_text("letterhead.yaml", open, &|_| None).err().unwrap();
    assert!(report.to_string().contains("cors"), "{report}");
}

#[tokio::test]
async fn a_body_must_be_declared_as_json() {
    let house = House::alone(YAML).await;
    let body = said("Hi").to_string();
    for path in ["/v1/chat/completions", "/api/v1/chat/completions", "/api/v1/chat/completions/s", "/api/chat"] {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", ""]
        {
            let request = house.request(Method::POST, path).body(body.clone());
            let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
            request.answered().await.problem(415, "unsupported_media_type");
        }
    }
    for kind in ["application/json", "Application/JSON; charset=utf-8"] {
        let request = house.request(Method::POST, "/v1/chat/completions").body(body.clone());
        assert_eq!(request.header("content-type", kind).answered().await.status, 200, "{kind}");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_a_harmless_one_is_taken() {
    let house = House::alone(YAML).await;
    let taken = house.get("/health").header("x-request-id", "req-1.a:b_c").answered().await;
    assert_eq!(taken.header("x-request-id"), Some("req-1.a:b_c"));
    let long = "x".repeat(129);
    for odd in ["", "a b", "<script>", "ä", long.as_str()] {
        let answered = house.get("/health").header("x-request-id", odd).answered().await;
        let made = answered.header("x-request-id").unwrap();
        assert!(made.starts_with("req_") && made.len() == 36, "{odd}: {made}");
    }
    let refused = house.get("/health").header("host", "evil.example").header("x-request-id", "r1").answered().await;
    assert_eq!(refused.header("x-request-id"), Some("r1"));
    assert_eq!(refused.json()["request_id"], "r1");
}

#[tokio::test]
async fn the_edge_stands_before_authentication_and_the_body() {
    let app = std::sync::Arc::new(crate::support::app(
        "",
        "auth: { anonymous: deny }\nagents: { a: {} }",
        crate::support::memory,
    ));
    let foreign = built("POST", "/v1/chat/completions", &[("origin", "https://evil.example")], "no JSON");
    call(&app, "192.0.2.1", foreign).await.problem(403, "origin_not_allowed");
    let unknown = built("POST", "/v1/chat/completions", &[], "no JSON");
    call(&app, "192.0.2.1", unknown).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let house = House::alone(YAML).await;
    let mut wire = house.wire().await;
    let body = said("Hi").to_string();
    let keep = String::from_utf8(request("/v1/chat/completions", &[], body.as_bytes())).unwrap();
    let keep = keep.replace("connection: close\r\n", "");
    for _ in 0..3 {
        wire.send(keep.as_bytes()).await;
        assert!(wire.until("chat.completion").await.starts_with("HTTP/1.1 200"));
    }
}
