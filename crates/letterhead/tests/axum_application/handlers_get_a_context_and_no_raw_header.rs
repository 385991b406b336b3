//! A handler is given what was admitted; of the request's own headers the declared ones are gone, and the others stay.

use letterhead::axum::ContextLayer;
use letterhead::context::HeaderLimits;
use letterhead::{Agent, Caller, CallerSource, Provider, Runner, TenantId, UserId};
use serde_json::json;
use tower::{Layer, ServiceExt};

use crate::support::{answer, application, request, runner, told};

#[tokio::test]
async fn declared_headers_are_taken_and_read() {
    let sent: &[(&str, &[u8])] = &[
        ("User-No", b"7"),
        ("org-name", "Caf\u{e9}".as_bytes()),
        ("auth_token", b"t0p-secret"),
        ("cookie", b"a=b"),
        ("x-other", b"1"),
        ("x-other", b"2"),
        ("accept", b"*/*"),
    ];
    let answer = answer(application(|layer| layer), request(sent)).await;
    assert_eq!(told(&answer), "default/////assistant/7/Caf\u{e9}");
    let mut raw: Vec<_> =
        answer["about"]["raw"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    raw.sort_unstable();
    assert_eq!(raw, ["accept", "cookie", "x-other"]);
    assert_eq!(answer["about"]["token"], "t0p-secret", "it is in the context, for tools");
    assert_eq!(answer["about"]["runtime"], json!([]));
}

#[tokio::test]
async fn runtime_headers_are_those_that_are_named_and_stay_in_the_request() {
    let layer = |layer: ContextLayer| layer.runtime_headers(["X-Request-ID", "X-Team-*"]).unwrap();
    let sent: &[(&str, &[u8])] =
        &[("user_no", b"7"), ("x-request-id", b"req-9"), ("x-team-color", b"blue"), ("x-other", b"no")];
    let answer = answer(application(layer), request(sent)).await;
    assert_eq!(answer["about"]["runtime"], json!(["x-request-id", "x-team-color"]));
    assert_eq!(answer["about"]["request_id"], "req-9");
    assert!(answer["about"]["raw"].as_array().unwrap().contains(&json!("x-team-color")));
    for name in ["Authorization", "Cookie", "*", "auth_token", "not a name"] {
        assert!(ContextLayer::new(&runner()).runtime_headers([name]).is_err(), "{name}");
    }
}

#[tokio::test]
async fn an_identity_header_that_is_named_goes_out_with_what_was_verified() {
    let layer = |layer: ContextLayer| {
        let names =
            ["X-User-Id", "X-Tenant-Id", "X-Session-Id", "X-Agent-Schema", "X-Model-Name", "X-Is-Eval", "X-Client-Id"];
        layer
            .runtime_headers(names)
            .unwrap()
            .identified_by(|_| Ok(Caller::new(TenantId::new("acme"), Some(UserId::new("ada")), CallerSource::Token)))
    };
    let sent: &[(&str, &[u8])] = &[
        ("user_no", b"7"),
        ("x-user-id", b"mallory"),
        ("x-tenant-id", b"globex"),
        ("x-agent-schema", b"billing"),
        ("x-client-id", b"app"),
        ("x-is-eval", b"yes"),
    ];
    let first = answer(application(layer), request(sent)).await;
    let verified = json!({
        "x-user-id": "ada", "x-tenant-id": "acme", "x-agent-schema": "assistant", "x-client-id": "app", "x-is-eval": "true",
    });
    assert_eq!(first["about"]["sent"], verified, "without a session it is an evaluation, too");
    let plain: &[(&str, &[u8])] = &[("user_no", b"7"), ("x-session-id", b"s1")];
    let verified = json!({
        "x-user-id": "ada", "x-tenant-id": "acme", "x-agent-schema": "assistant", "x-session-id": "s1", "x-is-eval": "false",
    });
    assert_eq!(answer(application(layer), request(plain)).await["about"]["sent"], verified);
}

#[tokio::test]
async fn session_client_and_trace_are_read_and_an_id_that_is_odd_is_not() {
    let trace: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let sent: &[(&str, &[u8])] = &[
        ("user_no", b"7"),
        ("x-session-id", b"sess-456"),
        ("x-client-id", b"app"),
        ("traceparent", trace),
        ("x-request-id", b"<script>"),
    ];
    let answer = answer(application(|layer| layer), request(sent)).await;
    assert_eq!(told(&answer), "default///sess-456/app/assistant/7/");
    assert_eq!(answer["about"]["trace"], true);
    let id = answer["about"]["request_id"].as_str().unwrap();
    assert!(id.starts_with("req_"), "made: {id}");
}

#[tokio::test]
async fn a_request_chooses_agent_and_model_only_where_it_may() {
    let sent: &[(&str, &[u8])] =
        &[("user_no", b"7"), ("org_name", b"Acme"), ("x-agent-schema", b"billing"), ("x-model-name", b"demo")];
    let first = answer(application(|layer| layer), request(sent)).await;
    assert_eq!((told(&first), &first["about"]["model"]), ("default/////assistant/7/Acme", &json!(null)));
    let second = answer(application(ContextLayer::choosing_agents), request(sent)).await;
    assert_eq!((told(&second), &second["about"]["model"]), ("default/////billing/7/Acme", &json!("demo")));
    let of_route = answer(application(|layer| layer.agent("billing").unwrap()), request(sent)).await;
    assert_eq!(told(&of_route), "default/////billing/7/Acme");
    assert!(ContextLayer::new(&runner()).agent("nobody").is_err());
}

/// What a run would say of a model that is none, or that nobody may choose, is the request's answer.
#[tokio::test]
async fn a_request_chooses_no_model_that_the_runner_does_not_allow() {
    let runner = Runner::with_agents([Agent::new("assistant")])
        .provider(Provider::demo("dear"))
        .allow_models(["demo"])
        .build()
        .unwrap();
    let layer = ContextLayer::new(&runner).choosing_agents();
    let service = layer.layer(tower::service_fn(|_: http::Request<()>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(bytes("admitted")))
    }));
    for (model, status) in [("demo", 200), ("dear:best", 404), ("nobody:any", 404)] {
        let request = http::Request::get("/").header("x-model-name", model).body(()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{model}");
        assert!(status == 200 || String::from_utf8_lossy(response.body()).contains("model_not_found"));
    }
}

#[tokio::test]
async fn routes_without_the_layer_need_no_header() {
    let health = http::Request::get("/health").body(axum::body::Body::empty()).unwrap();
    assert_eq!(application(|layer| layer).oneshot(health).await.unwrap().status(), 200);
}

#[test]
fn what_a_layer_shows_of_itself_are_names() {
    let limits = HeaderLimits { value: 10, total: 20 };
    let shown = format!("{:?}", ContextLayer::new(&runner()).limits(limits));
    assert!(shown.contains("assistant") && shown.contains("auth_token"), "{shown}");
}

/// Any service of `tower` whose answers can be made of bytes.
#[tokio::test]
async fn a_service_that_is_not_of_axum_finds_it_among_the_extensions() {
    let service = tower::service_fn(|request: http::Request<()>| async move {
        let context = request.extensions().get::<letterhead::RequestContext>().cloned().unwrap();
        Ok::<_, std::convert::Infallible>(http::Response::new(bytes(&context.headers().has("user_no").to_string())))
    });
    let service = ContextLayer::new(&runner()).layer(service);
    let admitted = http::Request::get("/").header("user-no", "7").body(()).unwrap();
    assert_eq!(service.clone().oneshot(admitted).await.unwrap().into_body(), bytes("true"));
    let refused = service.oneshot(http::Request::get("/").body(()).unwrap()).await.unwrap();
    assert_eq!(refused.status(), 400);
    assert!(String::from_utf8_lossy(refused.body()).contains("missing_header"));
}

fn bytes(text: &str) -> axum::body::Bytes {
    axum::body::Bytes::copy_from_slice(text.as_bytes())
}
