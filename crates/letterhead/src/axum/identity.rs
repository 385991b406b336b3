//! Who is calling, as the application found it.

use letterhead_context::{Caller, SubjectToken};
use serde_json::Value;

/// Who is calling, as the application found it.
///
/// ```
/// use letterhead::axum::Identity;
/// use letterhead::{Caller, CallerSource, TenantId, UserId};
///
/// let caller = Caller::new(TenantId::new("acme"), Some(UserId::new("u_1")), CallerSource::Token);
/// let identity = Identity::from(caller).with_claims(serde_json::json!({ "email": "a@example.com" }));
/// # let _ = identity;
/// ```
#[derive(Clone)]
pub struct Identity {
    pub(super) caller: Caller,
    pub(super) claims: Value,
    pub(super) token: Option<SubjectToken>,
}

impl Identity {
    /// What a verified token says of its bearer: `claims` in templates.
    #[must_use]
    pub fn with_claims(self, claims: Value) -> Self {
        Self { claims, ..self }
    }

    /// The verified token itself, to be exchanged for those of destinations. No template reads it.
    #[must_use]
    pub fn with_token(self, token: SubjectToken) -> Self {
        Self { token: Some(token), ..self }
    }
}

impl From<Caller> for Identity {
    fn from(caller: Caller) -> Self {
        Self { caller, claims: Value::Null, token: None }
    }
}

/// The caller alone.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("caller", &self.caller).finish_non_exhaustive()
    }
}
