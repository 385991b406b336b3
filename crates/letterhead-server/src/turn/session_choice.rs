//! Which session a request belongs to, and how its turn begins.

use std::sync::Arc;

use letterhead_context::{Caller, Problem, SessionId};
use letterhead_store::{Owner, Session, Turn};
use uuid::Uuid;

use crate::app::App;
use crate::error::store_problem;

/// The session that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionChoice {
    /// None, and nothing is stored.
    Nothing,
    /// None, and a new one is made.
    New,
    /// This one, whether it is there or not.
    Named(SessionId),
}

impl SessionChoice {
    /// The first id that is given, in order of precedence.
    pub fn first(ids: impl IntoIterator<Item = Option<SessionId>>, otherwise: Self) -> Self {
        ids.into_iter().flatten().next().map_or(otherwise, Self::Named)
    }

    /// Begins the turn, and says which session it is.
    pub(super) async fn open(
        &self,
        app: &App,
        caller: &Caller,
        stranger: bool,
    ) -> Result<(Option<Turn>, Option<SessionId>), Problem> {
        let owner = Owner::from(caller);
        match self {
            Self::Nothing => Ok((None, None)),
            Self::New => open_new(app, &owner).await,
            Self::Named(id) if stranger => {
                // Only one that was made here, and is there, opens its session.
                let key = owner.session(id.clone());
                if !may_reach(stranger, id)
                    || app.store.session(&key).await.map_err(|error| store_problem(&error))?.is_none()
                {
                    return open_new(app, &owner).await;
                }
                open_named(app, &owner, id).await
            }
            Self::Named(id) => open_named(app, &owner, id).await,
        }
    }

    /// What is stored now, for an error that lists what is missing. A store that fails has nothing.
    pub(super) async fn peek(&self, app: &App, caller: &Caller, stranger: bool) -> Option<Arc<Session>> {
        match self {
            Self::Named(id) if !stranger => {
                app.store.session(&Owner::from(caller).session(id.clone())).await.ok().flatten()
            }
            _ => None,
        }
    }
}

/// May a caller have the session of this id, if there is one of its own? A stranger's id is a capability, and no capability
/// if somebody chose it: another could choose the same.
pub(crate) fn may_reach(stranger: bool, id: &SessionId) -> bool {
    !stranger || Uuid::parse_str(id.as_str()).is_ok_and(|uuid| uuid.get_version_num() == 4)
}

async fn open_named(app: &App, owner: &Owner, id: &SessionId) -> Result<(Option<Turn>, Option<SessionId>), Problem> {
    let key = owner.session(id.clone());
    let turn = app.store.begin(&key, app.timing.turn_wait).await.map_err(|error| store_problem(&error))?;
    Ok((Some(turn), Some(id.clone())))
}

async fn open_new(app: &App, owner: &Owner) -> Result<(Option<Turn>, Option<SessionId>), Problem> {
    let id = SessionId::parse(&Uuid::new_v4().to_string())?;
    let key = owner.session(id.clone());
    let turn = app.store.begin_new(&key).await.map_err(|error| store_problem(&error))?;
    Ok((Some(turn), Some(id)))
}
