//! A request as a client of this protocol sends it: JSON-RPC, with what it says about itself in `_meta`.

use std::borrow::Cow;

use letterhead_context::Problem;

use super::answer::Fault;
use crate::json_rpc::{self, Id};
use crate::members::Members;

/// A request.
pub(super) struct Request<'a> {
    pub(super) id: Id,
    pub(super) method: Cow<'a, str>,
    pub(super) params: Members<'a>,
    pub(super) meta: Members<'a>,
}

impl<'a> Request<'a> {
    /// Reads what the request says about itself.
    pub(super) fn of(request: json_rpc::Request<'a>) -> Result<Self, Fault> {
        let json_rpc::Request { id, method, params } = request;
        let meta = json_rpc::object(&params, "_meta").map_err(|malformed| malformed.of(&id))?;
        Ok(Self { id, method, params, meta })
    }

    /// The token under which the client wants to hear of progress, if it does.
    pub(super) fn progress_token(&self) -> Option<Id> {
        self.meta.raw("progressToken").and_then(Id::read)
    }

    /// The arguments of a tool's call; none are as good as empty ones.
    pub(super) fn arguments(&self) -> Result<Members<'_>, Problem> {
        match self.params.raw("arguments") {
            Some(raw) => Members::read(raw.get().as_bytes())
                .map_err(|_| crate::members::wrong("/params/arguments", "an object, each member once")),
            None => Ok(Members::default()),
        }
    }
}
