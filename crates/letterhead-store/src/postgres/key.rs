//! Statements that find a row by a session's key.

use letterhead_context::{TenantId, UserId};

use crate::{Owner, SessionKey};

/// Two forms of a statement: for a user's sessions, and for those of nobody in particular. An index of some rows is used
/// only where the condition is written out. Both take the tenant as `$1`, the session as `$2` and the user as `$3`.
pub(super) type ByKey = [&'static str; 2];

/// Makes the two forms out of what stands before and behind the condition.
macro_rules! by_key {
    ($before:expr, $behind:expr) => {
        [
            concat!($before, " tenant_id = $1 AND session_id = $2 AND user_id = $3 ", $behind),
            concat!($before, " tenant_id = $1 AND session_id = $2 AND user_id IS NULL AND $3::text IS NULL ", $behind),
        ]
    };
}
pub(super) use by_key;

/// The form for this user.
pub(super) fn form(user: Option<&UserId>, forms: ByKey) -> &'static str {
    let [of_user, of_nobody] = forms;
    if user.is_some() { of_user } else { of_nobody }
}

/// A key as parameters.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) tenant: &'a str,
    pub(super) session: &'a str,
    pub(super) user: Option<&'a str>,
}

impl<'a> Key<'a> {
    pub(super) fn of(key: &'a SessionKey) -> Self {
        Self { tenant: key.tenant.as_str(), session: key.id.as_str(), user: key.user.as_ref().map(UserId::as_str) }
    }
}

/// An owner as parameters.
pub(super) fn owner(owner: &Owner) -> (&str, Option<&str>) {
    (TenantId::as_str(&owner.tenant), owner.user.as_ref().map(UserId::as_str))
}
