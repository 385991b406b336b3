//! The scripted HTTP API.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::Answer;
use crate::server::{Scripted, Server};
use crate::wire::Recorded;

/// An HTTP API that answers as it was told: by path, or one request after the other. Gone when dropped.
///
/// For a request the first that there is: the next [`Route::then`] of its path, what its path [always](Route::always)
/// says, the next [`ScriptedApi::then`], what the API [always](ScriptedApi::always) says, 404.
///
/// ```
/// use letterhead_testkit::{Answer, ScriptedApi};
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let api = ScriptedApi::start().await;
/// api.on("/users/u_1").then(Answer::status(500)).json(&json!({ "name": "Ada" })); // 500 once, then always this
/// api.on("POST /graphql").then(Answer::redirect(302, "/elsewhere"));
/// api.on("/me").always(|request| Answer::status(403).body(request.header("authorization").concat()));
/// assert!(api.url("/users/u_1").ends_with("/users/u_1"));
/// assert!(api.requests_to("/users/u_1").is_empty());
/// # });
/// ```
#[derive(Debug)]
pub struct ScriptedApi {
    server: Server,
    script: Arc<ApiScript>,
}

#[derive(Debug, Default)]
struct ApiScript {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    routes: Vec<(Place, Lines)>,
    elsewhere: Lines,
}

type Answerer = dyn Fn(&Recorded) -> Answer + Send;

/// What is answered at one place.
#[derive(Default)]
struct Lines {
    next: VecDeque<Answer>,
    always: Option<Box<Answerer>>,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("next", &self.next).field("always", &self.always.is_some()).finish()
    }
}

impl Lines {
    fn answer(&mut self, request: &Recorded) -> Option<Answer> {
        self.next.pop_front().or_else(|| self.always.as_ref().map(|always| always(request)))
    }
}

/// A path, with a method before it or with any, with a query behind it or with any.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    method: Option<String>,
    path: String,
}

impl Place {
    fn parse(text: &str) -> Self {
        let (method, path) =
            text.split_once(' ').map_or((None, text), |(method, path)| (Some(method.to_owned()), path));
        Self { method, path: path.to_owned() }
    }

    /// More for a place that says more.
    fn exactness(&self) -> u8 {
        u8::from(self.method.is_some()) + u8::from(self.path.contains('?'))
    }

    fn is_of(&self, request: &Recorded) -> bool {
        let path = if self.path.contains('?') { request.path.as_str() } else { request.route() };
        self.path == path && self.method.as_ref().is_none_or(|method| *method == request.method)
    }
}

impl ScriptedApi {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub async fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into()).await
    }

    /// Starts a server on a free port of this address: `127.0.0.2`, `::1`.
    ///
    /// # Panics
    ///
    /// If the machine does not have the address.
    pub async fn start_at(ip: IpAddr) -> Self {
        let script = Arc::new(ApiScript::default());
        Self { server: Server::start(ip, Arc::clone(&script)).await, script }
    }

    /// An address at which nothing listens: `http://127.0.0.1:PORT`.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn nowhere() -> String {
        format!("http://{}", Server::nowhere().await)
    }

    /// `http://127.0.0.1:PORT` and this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    /// `127.0.0.1:PORT`: what `egress.allow` has to name.
    pub fn host(&self) -> String {
        self.server.address().to_string()
    }

    /// The port, for addresses in other spellings.
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// Scripts the requests to a place: `/users/u_1` (any method, any query), `POST /users`, `/users?limit=1` (that query
    /// alone). The path is compared as it comes over the wire: not decoded. A place that says more goes first.
    pub fn on(&self, place: &str) -> Route<'_> {
        Route { api: self, place: Place::parse(place) }
    }

    /// Answers the next request to a path for which nothing is scripted.
    pub fn then(&self, answer: Answer) -> &Self {
        self.script.state().elsewhere.next.push_back(answer);
        self
    }

    /// Answers all requests to paths for which nothing is scripted. The function must not ask this API for anything.
    pub fn always(&self, answer: impl Fn(&Recorded) -> Answer + Send + 'static) -> &Self {
        self.script.state().elsewhere.always = Some(Box::new(answer));
        self
    }

    /// The requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.server.requests()
    }

    /// Those of them that went to this place, written as for [`on`](Self::on).
    pub fn requests_to(&self, place: &str) -> Vec<Recorded> {
        let place = Place::parse(place);
        self.requests().into_iter().filter(|request| place.is_of(request)).collect()
    }

    /// The latest request.
    ///
    /// # Panics
    ///
    /// If there was none.
    pub fn last(&self) -> Recorded {
        self.server.last()
    }

    /// Waits until `count` requests have come: their heads and bodies, not their answers.
    pub async fn received(&self, count: usize) -> Vec<Recorded> {
        self.server.received(count).await
    }

    /// Waits until `count` clients have closed their connection in the middle of an answer.
    pub async fn left(&self, count: usize) {
        self.server.left(count).await;
    }

    /// How many connections have been opened.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }
}

/// One place of a [`ScriptedApi`].
#[derive(Debug)]
pub struct Route<'a> {
    api: &'a ScriptedApi,
    place: Place,
}

impl Route<'_> {
    fn lines(&self, change: impl FnOnce(&mut Lines)) -> &Self {
        let mut state = self.api.script.state();
        if let Some((_, lines)) = state.routes.iter_mut().find(|(place, _)| *place == self.place) {
            change(lines);
        } else {
            let mut lines = Lines::default();
            change(&mut lines);
            state.routes.push((self.place.clone(), lines));
            state.routes.sort_by_key(|(place, _)| std::cmp::Reverse(place.exactness()));
        }
        self
    }

    /// Answers the next request that nothing is scripted for yet.
    pub fn then(&self, answer: Answer) -> &Self {
        self.lines(|lines| lines.next.push_back(answer))
    }

    /// Answers all requests that nothing else is scripted for. The function must not ask the API for anything.
    pub fn always(&self, answer: impl Fn(&Recorded) -> Answer + Send + 'static) -> &Self {
        self.lines(|lines| lines.always = Some(Box::new(answer)))
    }

    /// Always 200 with this JSON.
    pub fn json(&self, body: &Value) -> &Self {
        let body = body.clone();
        self.always(move |_| Answer::json(&body))
    }
}

impl ApiScript {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the lock")
    }
}

impl Scripted for ApiScript {
    fn answer(&self, request: &Recorded, _: usize) -> Answer {
        let mut state = self.state();
        let mut routes = state.routes.iter_mut().filter(|(place, _)| place.is_of(request));
        let answer = routes.find_map(|(_, lines)| lines.answer(request));
        answer
            .or_else(|| state.elsewhere.answer(request))
            .unwrap_or_else(|| Answer::error(404, &json!({ "error": "nothing is scripted here" })))
    }
}
