//! A server as one caller has it: opened once, its tools listed once, its calls.

use std::sync::Arc;
use std::time::Duration;

use letterhead_context::CarriedSecrets;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::{self, Instant};

use super::cancel::Waiting;
use super::fault::Unusable;
use super::listing::{Listing, McpTool, Offered, Reader};
use super::message::{Manner, Message};
use super::opening;
use super::prepare::PreparedMcpServer;
use crate::tool::endpoint::Line;
use crate::tool::json_rpc::{AskFault, next_id};

/// The longest that a list of tools is believed.
const LISTING: Duration = Duration::from_secs(5 * 60);

/// The most pages of a list of tools.
const MOST_PAGES: usize = 32;

/// A server as one caller has it.
#[derive(Debug, Default)]
pub(crate) struct Peer(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    manner: Option<Arc<Manner>>,
    listing: Option<(Instant, Arc<Listing>)>,
}

/// A list of tools, and whether the server was asked for it.
pub(crate) struct Listed {
    pub(crate) listing: Arc<Listing>,
    pub(crate) is_fresh: bool,
}

impl Peer {
    /// The tools that it has. Asked once, however many ask at the same time; the waiting for each other counts too.
    pub(crate) async fn tools(
        &self,
        server: &PreparedMcpServer,
        line: &Line,
        carried: &CarriedSecrets,
    ) -> Result<Listed, Unusable> {
        let limit = server.endpoint.timeout;
        let listed = time::timeout(limit, self.listed(server, line, carried)).await;
        listed.unwrap_or(Err(Unusable::Asked(AskFault::Timeout(limit))))
    }

    async fn listed(
        &self,
        server: &PreparedMcpServer,
        line: &Line,
        carried: &CarriedSecrets,
    ) -> Result<Listed, Unusable> {
        let mut state = self.0.lock().await;
        if let Some((until, listing)) = &state.listing
            && Instant::now() < *until
        {
            return Ok(Listed { listing: Arc::clone(listing), is_fresh: false });
        }
        state.listing = None;
        let (listing, ttl) = match list(server, line, carried, &mut state).await {
            Err(Unusable::Asked(fault)) if fault.is_stale(has_session(&state)) => {
                state.manner = None;
                list(server, line, carried, &mut state).await
            }
            listed => listed,
        }?;
        for left_out in &listing.left_out {
            tracing::warn!(server = &*server.endpoint.destination.name, "{left_out}");
        }
        let listing = Arc::new(listing);
        state.listing = Some((Instant::now() + ttl, Arc::clone(&listing)));
        Ok(Listed { listing, is_fresh: true })
    }

    /// Calls a tool. It is called once, but for a server that has forgotten its session, and so has done nothing.
    pub(super) async fn call(
        &self,
        server: &PreparedMcpServer,
        line: &Line,
        tool: &McpTool,
        arguments: Map<String, Value>,
    ) -> Result<Value, AskFault> {
        let mut params = Map::new();
        params.insert("name".to_owned(), (*tool.name).into());
        params.insert("arguments".to_owned(), arguments.into());
        let mut again = false;
        loop {
            let manner = opened(server, line, &mut *self.0.lock().await).await?;
            let id = next_id();
            let message =
                Message { id: Some(id), method: "tools/call", params: params.clone(), name: Some(&tool.name) };
            let waiting = Waiting::for_call(line, &manner, id);
            let outcome = line.ask(&manner, &message, server.endpoint.timeout).await;
            // After a timeout the server may still be at it.
            if !matches!(outcome, Err(AskFault::Timeout(_))) {
                waiting.done();
            }
            let has_session = matches!(&*manner, Manner::Handshake { session: Some(_), .. });
            match outcome {
                Err(fault) if !again && fault.is_stale(has_session) => {
                    again = true;
                    let mut state = self.0.lock().await;
                    // Unless somebody else has opened it anew meanwhile.
                    if state.manner.as_ref().is_some_and(|known| Arc::ptr_eq(known, &manner)) {
                        *state = State::default();
                    }
                }
                Err(fault) => {
                    // What is refused may be a tool that is gone: the next turn asks again.
                    if matches!(fault, AskFault::Error { .. }) {
                        self.0.lock().await.listing = None;
                    }
                    return Err(fault);
                }
                Ok(reply) => {
                    if reply.tools_changed {
                        self.0.lock().await.listing = None;
                    }
                    return Ok(reply.result);
                }
            }
        }
    }
}

fn has_session(state: &State) -> bool {
    matches!(state.manner.as_deref(), Some(Manner::Handshake { session: Some(_), .. }))
}

async fn opened(server: &PreparedMcpServer, line: &Line, state: &mut State) -> Result<Arc<Manner>, AskFault> {
    if let Some(manner) = &state.manner {
        return Ok(Arc::clone(manner));
    }
    let manner = Arc::new(opening::open(line, &server.era, server.endpoint.timeout).await?);
    state.manner = Some(Arc::clone(&manner));
    Ok(manner)
}

/// All tools as the server tells of them, page by page, and how long that holds.
async fn list(
    server: &PreparedMcpServer,
    line: &Line,
    carried: &CarriedSecrets,
    state: &mut State,
) -> Result<(Listing, Duration), Unusable> {
    let manner = opened(server, line, state).await.map_err(Unusable::Asked)?;
    let (mut reader, mut ttl, mut cursor) = (Reader::new(server), LISTING, None::<Value>);
    for _ in 0..MOST_PAGES {
        let mut params = Map::new();
        if let Some(cursor) = cursor.take() {
            params.insert("cursor".to_owned(), cursor);
        }
        let message = Message { id: Some(next_id()), method: "tools/list", params, name: None };
        let reply = line.ask(&manner, &message, server.endpoint.timeout).await.map_err(Unusable::Asked)?;
        let Some(Offered { mut page, ttl: of_page, next }) = Offered::read(reply.result) else {
            return Err(Unusable::Asked(AskFault::Malformed("its list of tools is none")));
        };
        for tool in &mut page {
            carried.remove_from(tool);
        }
        reader.page(page).map_err(Unusable::Because)?;
        ttl = of_page.map_or(ttl, |of_page| ttl.min(of_page));
        match next {
            Some(next) => cursor = Some(next),
            None => return Ok((reader.end(), ttl)),
        }
    }
    Err(Unusable::Asked(AskFault::Malformed("its list of tools has no end")))
}
