//! Who is calling: a tenant, perhaps a user, and how we know.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest tenant, user or client id that is accepted, in bytes.
pub const MAX_IDENTITY_BYTES: usize = 256;

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the identifier as it is.
            pub fn new(id: impl Into<Arc<str>>) -> Self {
                Self(id.into())
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

identity! {
    /// The organisation whose data a request may reach.
    TenantId
}

identity! {
    /// The person (or API key) that a request acts for. There is none for an anonymous caller.
    UserId
}

impl Default for TenantId {
    fn default() -> Self {
        Self::new("default")
    }
}

/// How tenant and user are known, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallerSource {
    /// A verified bearer token.
    Token,
    /// An API key of this server.
    ApiKey,
    /// `X-User-Id` and `X-Tenant-Id` from an address that is trusted to set them.
    TrustedHeader,
    /// Nobody said who is calling.
    Anonymous,
}

impl CallerSource {
    /// The name used in templates and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ApiKey => "api_key",
            Self::TrustedHeader => "trusted_header",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Tenant and user of a request, and how they are known.
///
/// ```
/// use letterhead_context::{Caller, CallerSource};
///
/// let nobody = Caller::anonymous();
/// assert_eq!(nobody.tenant().as_str(), "default");
/// assert!(nobody.user().is_none());
/// assert_eq!(nobody.source(), CallerSource::Anonymous);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    tenant: TenantId,
    user: Option<UserId>,
    source: CallerSource,
}

impl Caller {
    /// A caller as an authenticator found it.
    pub fn new(tenant: TenantId, user: Option<UserId>, source: CallerSource) -> Self {
        Self { tenant, user, source }
    }

    /// Nobody in particular, in the tenant `default`.
    pub fn anonymous() -> Self {
        Self::new(TenantId::default(), None, CallerSource::Anonymous)
    }

    /// Whose data this caller may reach.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The user, or none for an anonymous caller: no id is ever made up.
    pub fn user(&self) -> Option<&UserId> {
        self.user.as_ref()
    }

    /// How tenant and user are known.
    pub fn source(&self) -> CallerSource {
        self.source
    }
}
