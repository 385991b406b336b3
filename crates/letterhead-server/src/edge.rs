//! What every request passes before anything else: request id, `Host`, `Origin`, content type, CORS, and the log line.

mod cors;
mod host;
mod request_id;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, header};
use letterhead_context::{Code, Problem};

use crate::app::App;
use crate::arrival;
use crate::error::Failure;
use crate::logging::Line;
use crate::session_header::SESSION;

pub use cors::Origins;
pub use host::Hosts;
pub use request_id::RequestId;

/// Which hosts and origins are answered.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    /// The names that a `Host` may have; none checks nothing.
    pub hosts: Option<Hosts>,
    /// The pages that may call.
    pub origins: Origins,
}

/// The address at the other end of the connection: the socket's, never one that a header names.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The status of a request in the log whose client has left before there was an answer: proxies write it so.
const CLIENT_LEFT: u16 = 499;

/// The one layer around all routes.
pub(crate) async fn pass(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let mut heard = Heard::of(&app, &request, &id);
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match check(&app, &request) {
        Err(problem) => {
            let (parts, body) = request.into_parts();
            arrival::leave(body, arrival::is_unsent(&parts.headers)).await;
            Failure::new(problem, id.as_str()).into_response()
        }
        Ok(Some(preflight)) => preflight,
        Ok(None) => {
            request.extensions_mut().insert(id.clone());
            next.run(request).await
        }
    };
    app.edge.origins.mark(origin.as_ref(), response.headers_mut());
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert("x-request-id", value);
    }
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = &problem {
        app.outage.note(problem, app.clock.now_ms());
    }
    heard.line.status = response.status().as_u16();
    heard.line.session_id = response.headers().get(SESSION).cloned();
    heard.line.code = problem.map(|problem| problem.code());
    response
}

/// A request that leaves its line when it is over, be it that its client has left before there was an answer.
struct Heard<'a> {
    app: &'a App,
    began: Instant,
    line: Line,
}

impl<'a> Heard<'a> {
    fn of(app: &'a App, request: &Request, id: &RequestId) -> Self {
        let line = Line {
            at_ms: 0,
            method: request.method().clone(),
            route: request.extensions().get().cloned(),
            status: CLIENT_LEFT,
            micros: 0,
            request_id: id.shared(),
            session_id: None,
            code: None,
        };
        Self { app, began: Instant::now(), line }
    }
}

impl Drop for Heard<'_> {
    fn drop(&mut self) {
        self.app.access_log.tell(|| Line {
            at_ms: self.app.clock.now_ms(),
            micros: u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX),
            ..self.line.clone()
        });
    }
}

/// Refuses what must not get in; answers a preflight.
fn check(app: &App, request: &Request) -> Result<Option<Response>, Problem> {
    let headers = request.headers();
    if let Some(hosts) = &app.edge.hosts {
        hosts.check(request)?;
    }
    app.edge.origins.check(headers)?;
    if request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return Ok(Some(app.edge.origins.preflight(headers, &app.ingress)));
    }
    if *request.method() == Method::POST && !is_json(headers) {
        let detail = "send `Content-Type: application/json`";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    Ok(None)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let media = value.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json")
}
