//! Agents in a web application of axum: the application logs people in, a layer admits what a request carries, and handlers
//! run agents with it.
//!
//! `cargo run -p letterhead --example web_application` (with the feature `axum` of the library)

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::{Stream, StreamExt};
use letterhead::axum::{Context, ContextLayer, ProblemResponse};
use letterhead::context::ProblemDocument;
use letterhead::{
    Agent, Caller, CallerSource, Code, HeaderSchema, Problem, Run, RunEvent, RunResult, Runner, Secret, TenantId,
    UserId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

/// What the front end sends along with a question.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "templates read them")]
struct AppHeaders {
    org_name: String,
    #[serde(default = "english")]
    language: String,
    crm_token: Option<Secret>,
}

fn english() -> String {
    "en".to_owned()
}

/// A conversation belongs to a user: the id alone finds nothing. `own_database` keeps them in a database.
type Key = (Option<UserId>, String);

type Conversation = Arc<Mutex<Option<RunResult>>>;

#[derive(Clone)]
struct Application {
    runner: Runner,
    conversations: Arc<Mutex<HashMap<Key, Conversation>>>,
}

impl Application {
    async fn conversation(&self, user: Option<&UserId>, id: &str) -> Conversation {
        Arc::clone(self.conversations.lock().await.entry((user.cloned(), id.to_owned())).or_default())
    }
}

#[derive(Deserialize)]
struct Question {
    text: String,
}

#[derive(Serialize)]
struct Answer {
    text: String,
    agent: String,
}

/// The application's own login. Nothing that a client writes into a header makes it somebody else.
async fn login(mut request: Request, next: Next) -> Response {
    let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let user = match bearer.and_then(|bearer| bearer.strip_prefix("Bearer ")) {
        Some("token-of-ada") => "ada", // A session cookie or a verified JWT, in a real one.
        Some("token-of-bob") => "bob",
        _ => return ProblemResponse::from(Problem::new(Code::Unauthenticated, "log in first")).into_response(),
    };
    let caller = Caller::new(TenantId::default(), Some(UserId::new(user)), CallerSource::Token);
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// One turn, answered as a whole.
async fn ask(
    State(application): State<Application>,
    Path(id): Path<String>,
    Context(context): Context,
    Json(question): Json<Question>,
) -> Result<Json<Answer>, ProblemResponse> {
    let conversation = application.conversation(context.caller().user(), &id).await;
    let mut earlier = conversation.lock().await; // One turn of a conversation at a time.
    let run = application.runner.run(question.text).request(context).session(&id)?;
    let result = going_on(run, earlier.as_ref()).await?;
    let answer = Answer { text: result.output.clone(), agent: result.current_agent.to_string() };
    *earlier = Some(result);
    Ok(Json(answer))
}

/// One turn, as server-sent events. If the client leaves, the run is cancelled, and what was said until then is kept.
async fn stream(
    State(application): State<Application>,
    Path(id): Path<String>,
    Context(context): Context,
    Json(question): Json<Question>,
) -> Result<Sse<impl Stream<Item = Result<Event, axum::Error>>>, ProblemResponse> {
    let conversation = application.conversation(context.caller().user(), &id).await;
    let request_id = context.request_id().to_owned();
    let run = application.runner.run(question.text).request(context).session(&id)?;
    let (sender, mut events) = mpsc::channel(16);
    tokio::spawn(async move {
        let mut earlier = conversation.lock().await;
        let mut run = going_on(run, earlier.as_ref()).stream();
        let mut left = false;
        while let Some(event) = run.next().await {
            if let RunEvent::Text(text) = event {
                left = sender.send(Event::default().json_data(text)).await.is_err();
            }
            if left {
                break;
            }
        }
        match if left { run.cancel().await } else { run.result().await } {
            Ok(result) => *earlier = Some(result),
            Err(error) => {
                let document = ProblemDocument::new(&error.problem, &request_id);
                let _ = sender.send(Event::default().event("error").json_data(document)).await;
            }
        }
    });
    Ok(Sse::new(futures_util::stream::poll_fn(move |context| events.poll_recv(context))))
}

fn going_on(run: Run, earlier: Option<&RunResult>) -> Run {
    match earlier {
        Some(result) => run.previous(result),
        None => run,
    }
}

fn application() -> Result<Router, Box<dyn std::error::Error>> {
    let told = "You help {{ caller.user_id }} of {{ headers.org_name }}, in {{ headers.language }}.";
    let runner = Runner::with_agents([
        Agent::new("assistant").with_instructions(told).with_handoff("billing"),
        Agent::new("billing").with_description("Invoices and payments.").with_instructions(told),
    ])
    .headers(HeaderSchema::of::<AppHeaders>()?)
    .build()?;
    let layer = ContextLayer::new(&runner).runtime_headers(["X-Request-ID"])?;
    Ok(Router::new()
        .route("/chats/{id}", post(ask))
        .route("/chats/{id}/stream", post(stream))
        .route_layer(layer) // Admits what agents need, on the routes that start turns.
        .route_layer(from_fn(login)) // Comes before: what is added later is outside.
        .with_state(Application { runner, conversations: Arc::default() }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let application = application()?;
    let server = tokio::spawn(async move { axum::serve(listener, application).await });

    // What a front end would send.
    let client = reqwest::Client::new();
    let post = |path: &str, text: &str| client.post(format!("{base}{path}")).json(&serde_json::json!({ "text": text }));
    let ada = |request: reqwest::RequestBuilder| {
        request.bearer_auth("token-of-ada").header("org-name", "Acme Corp").header("X-User-Id", "somebody-else")
    };

    println!("{}", ada(post("/chats/1", "/handoff billing")).send().await?.text().await?);
    println!("{}", ada(post("/chats/1/stream", "What do I owe?")).send().await?.text().await?);
    println!("{}", post("/chats/1", "Hello!").send().await?.text().await?);
    let faulty = post("/chats/1", "Hello!").bearer_auth("token-of-bob").header("language", "a").header("language", "b");
    println!("{}", faulty.send().await?.text().await?);

    server.abort();
    Ok(())
}
