//! `POST /a2a`: Letterhead as an A2A server, version 1.0 by JSON-RPC. A task is a turn, its context is the session.
//!
//! A task is run for itself: who asked for it may leave, come back, and find it by its id, as may only its caller. What runs
//! here is in `live`; everything else is read from the store, on any node and after a restart.
//!
//! Where a request names no version it is taken by its method's name; the names of version 0.3 are refused.

mod answer;
mod card;
mod content;
mod follow;
mod followers;
mod list;
mod live;
mod look;
mod params;
mod send;
mod stored;
mod task;

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use http::request::Parts;

use crate::app::App;
use crate::arrival::Undecided;
use crate::error::shown;
use crate::json_rpc::{Message, Request};

use answer::{Fault, Named};
use live::LiveTasks;

pub use card::agent_card;

/// The methods of version 0.3, whose names are no others', with what they are called now.
const OLD_METHODS: [(&str, &str); 10] = [
    ("message/send", "SendMessage"),
    ("message/stream", "SendStreamingMessage"),
    ("tasks/get", "GetTask"),
    ("tasks/cancel", "CancelTask"),
    ("tasks/resubscribe", "SubscribeToTask"),
    ("tasks/pushNotificationConfig/set", "CreateTaskPushNotificationConfig"),
    ("tasks/pushNotificationConfig/get", "GetTaskPushNotificationConfig"),
    ("tasks/pushNotificationConfig/list", "ListTaskPushNotificationConfigs"),
    ("tasks/pushNotificationConfig/delete", "DeleteTaskPushNotificationConfig"),
    ("agent/getAuthenticatedExtendedCard", "GetExtendedAgentCard"),
];

/// The version that a request names in `A2A-Version`.
#[derive(Debug)]
struct NamedVersion(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for NamedVersion {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let values = parts.headers.get_all("a2a-version").iter();
        let mut texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
        let first = texts.next().filter(|text| !text.is_empty());
        // Two of them are as good as an unknown one.
        Ok(Self(if texts.next().is_some() { Some("several".to_owned()) } else { first }))
    }
}

impl NamedVersion {
    /// Refuses a version of another kind. Clients that mean 1.0 name it, or 0.3, or none: their methods tell.
    fn check(&self) -> Result<(), Fault> {
        let Some(version) = &self.0 else { return Ok(()) };
        if matches!(version.split('.').next(), Some("0" | "1")) {
            return Ok(());
        }
        let message = format!("version {} of the protocol is not spoken here; 1.0 is", shown(version));
        Err(Fault::named(Named::VersionNotSupported, message))
    }
}

/// Why there is no such method.
fn unknown_method(method: &str) -> Fault {
    match OLD_METHODS.iter().find(|(old, _)| *old == method) {
        Some((old, new)) => {
            let message = format!("`{old}` is of A2A 0.3, and this server speaks 1.0; there it is `{new}`");
            Fault::named(Named::VersionNotSupported, message)
        }
        None => Fault::unknown_method(method),
    }
}

/// What the methods work with.
struct A2a {
    app: Arc<App>,
    tasks: Arc<LiveTasks>,
}

/// The endpoint, with the tasks whose turns it lets run.
pub fn route() -> MethodRouter<Arc<App>> {
    let tasks = Arc::<LiveTasks>::default();
    post(move |State(app), version, arrived| answer(A2a { app, tasks: Arc::clone(&tasks) }, version, arrived))
}

/// Answers a request of a client.
async fn answer(here: A2a, version: NamedVersion, arrived: Undecided) -> Response {
    let body = arrived.body.clone();
    let request = match Message::read(&body) {
        Ok(Message::Request(request)) => request,
        Ok(Message::Notification { .. } | Message::Response) => return Fault::no_request().response(None),
        Err(malformed) => return Fault::from(malformed).response(None),
    };
    let answered = match version.check() {
        Ok(()) => dispatch(&here, &request, arrived).await,
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| fault.response(Some(&request.id)))
}

async fn dispatch(here: &A2a, request: &Request<'_>, arrived: Undecided) -> Result<Response, Fault> {
    match &*request.method {
        "SendMessage" => return send::send(here, request, false, arrived).await,
        "SendStreamingMessage" => return send::send(here, request, true, arrived).await,
        _ => {}
    }
    // Everything else starts no turn, and reads identity alone.
    let reading = arrived.reading().map_err(Fault::failed)?;
    match &*request.method {
        "GetTask" => look::get(here, request, &reading).await,
        "ListTasks" => list::list(here, request, &reading).await,
        "CancelTask" => look::cancel(here, request, &reading).await,
        "SubscribeToTask" => look::subscribe(here, request, &reading).await,
        "GetExtendedAgentCard" => {
            let message = "there is no extended card: the public one has everything";
            Err(Fault::named(Named::UnsupportedOperation, message))
        }
        "CreateTaskPushNotificationConfig"
        | "GetTaskPushNotificationConfig"
        | "ListTaskPushNotificationConfigs"
        | "DeleteTaskPushNotificationConfig" => Err(params::no_push()),
        method => Err(unknown_method(method)),
    }
}
