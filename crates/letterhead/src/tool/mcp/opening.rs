//! Opening a server: which revision it speaks, and its session where it keeps one.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::message::{HANDSHAKE, Manner, Message, STANDALONE, client_info};
use crate::tool::endpoint::Line;
use crate::tool::json_rpc::{AskFault, next_id};

/// How long a server has to say that it speaks the newest revision. Some older ones say nothing at all.
const DISCOVERY: Duration = Duration::from_secs(10);

/// Which revision a server spoke when it was last opened, by whomever.
#[derive(Debug, Default)]
pub(super) struct Era(AtomicU8);

const STANDALONE_ERA: u8 = 1;
const HANDSHAKE_ERA: u8 = 2;

impl Era {
    fn is_handshake(&self) -> bool {
        self.0.load(Ordering::Relaxed) == HANDSHAKE_ERA
    }

    fn set(&self, era: u8) {
        self.0.store(era, Ordering::Relaxed);
    }
}

/// Opens a server. The newest revision is tried first, unless the server is known to speak an older one.
pub(super) async fn open(line: &Line, era: &Era, limit: Duration) -> Result<Manner, AskFault> {
    if era.is_handshake() {
        match initialize(line, limit).await {
            // It may have been replaced by a newer one.
            Err(fault @ (AskFault::Error { .. } | AskFault::Status(_))) if fault.may_be_older() => {}
            opened => return opened,
        }
    }
    // An older server has to have the time for its handshake.
    if discover(line, (limit / 2).min(DISCOVERY)).await? {
        era.set(STANDALONE_ERA);
        return Ok(Manner::Standalone);
    }
    let manner = initialize(line, limit).await?;
    era.set(HANDSHAKE_ERA);
    Ok(manner)
}

/// Does it speak the newest revision?
async fn discover(line: &Line, limit: Duration) -> Result<bool, AskFault> {
    let message = Message { id: Some(next_id()), method: "server/discover", params: Map::new(), name: None };
    match line.ask(&Manner::Standalone, &message, limit).await {
        Ok(reply) => {
            let versions = reply.result.get("supportedVersions").and_then(Value::as_array);
            Ok(versions.is_some_and(|all| all.iter().any(|one| one == STANDALONE)))
        }
        Err(fault) if fault.may_be_older() => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// The handshake of the older revisions.
async fn initialize(line: &Line, limit: Duration) -> Result<Manner, AskFault> {
    let params = json!({ "protocolVersion": HANDSHAKE[0], "capabilities": {}, "clientInfo": client_info() });
    let params = if let Value::Object(params) = params { params } else { Map::new() };
    let message = Message { id: Some(next_id()), method: "initialize", params, name: None };
    let reply = line.ask(&Manner::Opening, &message, limit).await?;
    let chosen = reply.result.get("protocolVersion").and_then(Value::as_str);
    let version = HANDSHAKE.into_iter().find(|known| chosen == Some(*known));
    let version = version.ok_or(AskFault::Malformed("it speaks a revision of the protocol that is not known here"))?;
    let manner = Manner::Handshake { version, session: reply.session };
    let ready = Message { id: None, method: "notifications/initialized", params: Map::new(), name: None };
    line.tell(&manner, &ready, limit).await;
    Ok(manner)
}
