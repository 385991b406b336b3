//! What a session is found by.

use letterhead_context::{Caller, SessionId, TenantId, UserId};

/// Whose sessions: a tenant, and a user or nobody in particular.
///
/// Two callers without a user in one tenant are the same owner; the server decides where that may be
/// (one local person) and where it may not (strangers).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The tenant.
    pub tenant: TenantId,
    /// The user, or none. `None` and an empty name are different owners.
    pub user: Option<UserId>,
}

impl Owner {
    /// The session of this owner that is called `id`.
    pub fn session(&self, id: SessionId) -> SessionKey {
        SessionKey { tenant: self.tenant.clone(), user: self.user.clone(), id }
    }
}

impl From<&Caller> for Owner {
    fn from(caller: &Caller) -> Self {
        Self { tenant: caller.tenant().clone(), user: caller.user().cloned() }
    }
}

/// The key of a session: its owner and its id. The same id under another owner is another session.
///
/// ```
/// use letterhead_context::{Caller, SessionId};
/// use letterhead_store::Owner;
///
/// let owner = Owner::from(&Caller::anonymous());
/// let key = owner.session(SessionId::parse("sess-456")?);
/// assert_eq!(key.owner(), owner);
/// # Ok::<(), letterhead_context::Problem>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The tenant.
    pub tenant: TenantId,
    /// The user, or none.
    pub user: Option<UserId>,
    /// The id, unique for its owner.
    pub id: SessionId,
}

impl SessionKey {
    /// Whose session it is.
    pub fn owner(&self) -> Owner {
        Owner { tenant: self.tenant.clone(), user: self.user.clone() }
    }

    /// Roughly the bytes that the key's texts take.
    pub(crate) fn weight(&self) -> usize {
        let user = self.user.as_ref().map_or(0, |user| user.as_str().len());
        self.tenant.as_str().len() + user + self.id.as_str().len()
    }
}
