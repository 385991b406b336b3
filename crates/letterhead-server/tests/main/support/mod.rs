//! What the tests share: a server in the process, a client for it, and what came back.

pub(crate) mod a2a;
mod answered;
pub(crate) mod canary;
pub(crate) mod mcp;
mod process;
mod raw;
pub(crate) mod refunds;
mod signer;
pub(crate) mod tasks;
mod tidy;
pub(crate) mod waiting_task;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use letterhead_context::{Caller, CallerSource, SessionId, TenantId, UserId};
use letterhead_server::app::App;
use letterhead_server::assembly;
use letterhead_server::edge::Peer;
use letterhead_server::routes::router;
use letterhead_server::serve::{Patience, STALLED, serve};
use letterhead_store::sqlite::SqliteOptions;
use letterhead_store::{Clock, Lifetimes, MemoryStore, Owner, SessionKey, SqliteStore, Store, SystemClock};
use letterhead_testkit::ScriptedLlm;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) use answered::{Answered, Event};
pub(crate) use process::Program;
pub(crate) use raw::{Wire, parse, request};
pub(crate) use signer::{NOW, Signer, app_then, claims, claims_without, encoded};
pub(crate) use tidy::{tidy, transcript};

/// A server that runs in the process, on a free port of loopback.
pub(crate) struct House {
    pub(crate) app: Arc<App>,
    pub(crate) address: SocketAddr,
    client: reqwest::Client,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

/// Puts an application together from a configuration's text. `${LLM}` in it is the address of the scripted model.
pub(crate) fn app(llm: &str, yaml: &str, store: impl FnOnce() -> Arc<dyn Store>) -> App {
    let env = |name: &str| (name == "LLM").then(|| llm.to_owned());
    let checked = assembly::check_text("letterhead.yaml", yaml, &env).unwrap_or_else(|report| panic!("{report}"));
    checked.into_app(store(), Arc::new(SystemClock))
}

/// A store in memory.
pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(Lifetimes::default(), Arc::new(SystemClock)))
}

/// A store in a file, that does not wait long for a lock.
pub(crate) fn sqlite(path: &Path, max_bytes: Option<u64>) -> Arc<dyn Store> {
    let busy_timeout = Duration::from_millis(100);
    let options = SqliteOptions { max_bytes, busy_timeout, ..SqliteOptions::default() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Arc::new(SqliteStore::open(path, options, clock).unwrap())
}

/// How a server waits, unless a test is about that.
pub(crate) const PATIENCE: Patience = Patience {
    header_timeout: Duration::from_secs(60),
    write_timeout: STALLED,
    drain: Duration::from_secs(60),
    max_connections: 1_000,
};

impl House {
    /// A server that keeps its sessions in memory.
    pub(crate) async fn open(llm: &ScriptedLlm, yaml: &str) -> Self {
        Self::serve(app(&llm.openai_url(), yaml, memory), PATIENCE).await
    }

    /// A server that needs no scripted model.
    pub(crate) async fn alone(yaml: &str) -> Self {
        Self::serve(app("http://127.0.0.1:1", yaml, memory), PATIENCE).await
    }

    /// A server that keeps its sessions in a file.
    pub(crate) async fn on_file(llm: &ScriptedLlm, yaml: &str, file: &Path) -> Self {
        Self::serve(app(&llm.openai_url(), yaml, || sqlite(file, None)), PATIENCE).await
    }

    /// Serves an application.
    pub(crate) async fn serve(app: App, patience: Patience) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (app, stop) = (Arc::new(app), CancellationToken::new());
        let serving = tokio::spawn(serve(listener, Arc::clone(&app), patience, stop.clone()));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { app, address, client, stop, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn delete(&self, path: &str) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    /// Says something in OpenAI's protocol, which stores nothing.
    pub(crate) fn say(&self, text: &str) -> RequestBuilder {
        self.post("/v1/chat/completions", &said(text))
    }

    /// Says something in a session.
    pub(crate) fn say_in(&self, session: &str, text: &str) -> RequestBuilder {
        self.post(&format!("/api/v1/chat/completions/{session}"), &said(text))
    }

    /// The rows of a list.
    pub(crate) async fn rows(&self, request: RequestBuilder) -> Vec<Value> {
        let answered = request.answered().await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let body = answered.json();
        assert_eq!(body["object"], "list");
        body["data"].as_array().unwrap().clone()
    }

    /// The messages of an anonymous caller's session, as `role: content`.
    pub(crate) async fn transcript(&self, session: &str) -> Vec<String> {
        let rows = self.rows(self.get(&format!("/api/v1/sessions/{session}/messages"))).await;
        rows.iter().map(|row| format!("{}: {}", row["role"].as_str().unwrap(), text_of(&row["content"]))).collect()
    }

    /// Tells the server to stop, and goes on.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the server has stopped.
    pub(crate) async fn stopped(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

fn text_of(content: &Value) -> String {
    content.as_str().map_or_else(|| content.to_string(), str::to_owned)
}

/// The body of a chat with one message.
pub(crate) fn said(text: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": text }] })
}

/// The same, streamed.
pub(crate) fn said_streaming(text: &str) -> Value {
    json!({ "stream": true, "messages": [{ "role": "user", "content": text }] })
}

/// Sends a request, and takes the whole answer.
pub(crate) trait Send {
    /// What came back.
    async fn answered(self) -> Answered;
}

impl Send for RequestBuilder {
    async fn answered(self) -> Answered {
        Answered::of(self.send().await.unwrap()).await
    }
}

/// Calls the routes without a connection, as from `peer`: for tests with a paused clock, or of addresses.
pub(crate) async fn call(app: &Arc<App>, peer: &str, request: Request) -> Answered {
    let mut request = request;
    request.extensions_mut().insert(Peer(SocketAddr::new(peer.parse().unwrap(), 4000)));
    let response: Response = router(Arc::clone(app)).oneshot(request).await.unwrap();
    Answered::of_response(response).await
}

/// A request for [`call`].
pub(crate) fn built(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(body.into()).unwrap()
}

/// The key of a session, as the server makes it.
pub(crate) fn key(tenant: Option<&str>, user: Option<&str>, id: &str) -> SessionKey {
    let tenant = tenant.map(TenantId::new).unwrap_or_default();
    let caller = Caller::new(tenant, user.map(UserId::new), CallerSource::TrustedHeader);
    Owner::from(&caller).session(SessionId::parse(id).unwrap())
}
