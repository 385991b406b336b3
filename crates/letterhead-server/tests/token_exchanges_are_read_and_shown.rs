//! `auth: { token_exchange }` is read whole, its faults have places, and `check` and `map` say where tokens go.
#![expect(clippy::unwrap_used, reason = "the functions that tests share fail by panicking, as tests do")]

mod printing;

use printing::printed;

const CONFIG: &str = r#"
store: memory
credentials: { client: { env: CLIENT_SECRET } }
auth: { jwt: { issuer: 'https://id.example.com', audience: letterhead, jwks_url: 'https://id.example.com/jwks' }, anonymous: allow }
context:
  me:
    url: https://api.example.com/me
    optional: true
    auth:
      token_exchange:
        endpoint: https://id.example.com/token
        audience: orders
        client_id: letterhead
        client_secret: "{{ credentials.client }}"
tools:
  get_order:
    url: https://api.example.com/orders
    auth: { token_exchange: { endpoint: "https://id.example.com/token", resource: "https://api.example.com" } }
mcp_servers:
  crm:
    url: https://crm.example.com/mcp
    optional: true
    auth: { token_exchange: { endpoint: "https://id.example.com/token", audience: crm, scope: "a b", client_auth: post, subject_token_type: jwt, timeout: 1s } }
agents:
  assistant: { instructions: "{{ me.name }}", tools: [get_order, crm] }
"#;

#[test]
fn map_says_where_the_callers_token_goes_and_what_comes_of_it() {
    let map = printed(CONFIG, &["map"], 0);
    for destination in ["context.me", "tools.get_order", "mcp_servers.crm"] {
        let rows: Vec<&str> = map.lines().filter(|line| line.starts_with(destination)).collect();
        let has = |parts: &[&str]| rows.iter().any(|row| parts.iter().all(|part| row.contains(part)));
        assert!(has(&["Authorization", "secret", " auth.token_exchange "]), "{map}");
        assert!(has(&[".auth.token_exchange ", "(body)", "secret", "auth.jwt"]), "{map}");
    }
    assert!(map.contains("auth.jwt, credentials.client"), "{map}");
    let json: serde_json::Value = serde_json::from_str(&printed(CONFIG, &["map", "--format", "json"], 0)).unwrap();
    assert!(
        json["destinations"].as_array().unwrap().iter().any(|one| one["name"] == "tools.get_order.auth.token_exchange")
    );
}

#[test]
fn a_dry_run_of_a_caller_without_a_token_says_what_stays() {
    let shown = printed(CONFIG, &["check", "--agent", "assistant"], 0);
    let why = "the token exchange needs a token of the caller's own, and the caller is not known";
    for destination in ["context.me", "mcp_servers.crm"] {
        let row = shown.lines().find(|line| line.contains(destination) && line.contains(why));
        assert!(row.is_some(), "{destination}: {shown}");
        assert!(!shown.contains(&format!("What is sent to {destination}")), "{shown}");
    }
    let needed = printed(
        &CONFIG.replace("    optional: true\n    auth: {", "    auth: {"),
        &["check", "--agent", "assistant"],
        1,
    );
    assert!(needed.contains("missing_credential") && needed.contains(why), "{needed}");
}

#[test]
fn faults_have_their_places() {
    let wrong = CONFIG
        .replace("{{ credentials.client }}", "{{ credentials.clent }}")
        .replace("resource: \"https://api.example.com\"", "scope: orders")
        .replace(
            "    url: https://crm.example.com/mcp",
            "    url: https://crm.example.com/mcp\n    headers: { authorization: Bearer x }",
        );
    let told = printed(&wrong, &["check"], 1);
    for part in [
        "letterhead.yaml:14:",
        "letterhead.yaml:18:",
        "for whom the token is to be: name the `audience`, or the `resource`",
        "letterhead.yaml:24:",
        "has a header `authorization` already",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    for (from, to, place, message) in [
        ("endpoint: https://id.example.com/token", "endpoint: ftp://id.example.com", "11:19", "must begin with"),
        ("endpoint: https://id.example.com/token", "endpoint: https://a:b@id.example.com", "11:19", "no user name"),
        ("        endpoint: https://id.example.com/token\n", "", "10:7", "`endpoint` is missing"),
        ("        audience: orders", "        audiance: orders", "12:9", "did you mean `audience`?"),
        ("        audience: orders", "        audience: '{{ headers.a }}'", "12:19", "this is no template"),
        ("        client_id: letterhead\n", "", "13:9", "a secret alone names no client"),
        ("client_auth: post", "client_auth: tls", "23:", "must be one of"),
        ("timeout: 1s", "timeout: 0s", "23:", "timeout"),
        ("    optional: true\n    auth: {", "    shared: true\n    auth: {", "23:", "remove `shared`"),
    ] {
        let told = printed(&CONFIG.replace(from, to), &["check"], 1);
        assert!(told.contains(&format!("letterhead.yaml:{place}")) && told.contains(message), "{to}: {told}");
    }
    let plain = printed(
        &CONFIG.replace("\"https://id.example.com/token\", resource", "\"http://id.example.com/token\", resource"),
        &["check"],
        0,
    );
    assert!(plain.contains("callers' tokens are sent to this endpoint without TLS"), "{plain}");
}

#[test]
fn a_secret_that_is_written_down_is_warned_of() {
    let written = CONFIG.replace("{{ credentials.client }}", "hunter2-canary");
    let warned = "letterhead.yaml:14:9: warning: the client's secret is written into this file";
    assert!(printed(&written, &["check"], 0).contains(warned));
    assert!(printed(&written, &["check", "--strict"], 1).contains(warned));
    for outside in ["{{ credentials.client }}", "${CLIENT_SECRET}"] {
        let told = printed(&CONFIG.replace("{{ credentials.client }}", outside), &["check"], 0);
        assert!(!told.contains("is written into this file"), "{outside}: {told}");
    }
}

#[test]
fn without_a_verifier_of_tokens_there_is_nothing_to_trade() {
    let line = CONFIG.lines().find(|line| line.starts_with("auth:")).unwrap();
    for auth in ["auth: { api_keys: true }", "auth: { trust_identity_headers: [10.0.0.0/8] }", "egress: {}"] {
        let told = printed(&CONFIG.replace(line, auth), &["check"], 1);
        assert_eq!(told.matches("there is nothing to trade").count(), 3, "{told}");
    }
}
