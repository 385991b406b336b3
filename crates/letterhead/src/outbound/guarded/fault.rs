//! Why a guarded call brought no whole answer.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy;

use super::refused::shown;
use super::{RedirectFault, Refused};
use crate::outbound::{Fault, Url};

/// Why a guarded call brought no whole answer, in words for an operator or a model.
///
/// They name the host or the rule: never a path, a query, a header, or anything of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundFault {
    /// It would have gone where calls out may not go. To that place nothing was sent.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The other side redirected to where calls do not follow.
    #[error("`{host}` {fault}")]
    Redirect {
        /// Who.
        host: Arc<str>,
        /// What is wrong with it.
        fault: RedirectFault,
    },
    /// It took too long: the connection, the answer, or both.
    #[error("`{host}` gave no whole answer within {limit:?}")]
    Timeout {
        /// Who.
        host: Arc<str>,
        /// How long was waited.
        limit: Duration,
    },
    /// The answer's body is too large; the rest of it was not read.
    #[error("the answer of `{host}` is larger than {limit} bytes")]
    TooLarge {
        /// Who.
        host: Arc<str>,
        /// How large it may be, after decompression.
        limit: usize,
    },
    /// There was no connection, or it ended early.
    #[error("the call to `{host}` failed: {fault}")]
    Failed {
        /// Who.
        host: Arc<str>,
        /// What happened.
        fault: Fault,
    },
}

impl OutboundFault {
    /// The same without the host, for readers who need not know which hosts there are: callers and models.
    pub fn reason(&self) -> String {
        match self {
            Self::Refused(_) => "it would go to a place where calls out do not go (see `egress.allow`)".to_owned(),
            Self::Redirect { fault, .. } => format!("the other side {fault}"),
            Self::Timeout { limit, .. } => format!("no whole answer within {limit:?}"),
            Self::TooLarge { limit, .. } => format!("the answer is larger than {limit} bytes"),
            Self::Failed { fault, .. } => fault.to_string(),
        }
    }

    /// May the same call work a little later? Whether it may be made twice is for the caller to know: after a timeout or
    /// a broken connection the other side may have done what it was asked.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Redirect { .. } | Self::TooLarge { .. } => false,
            Self::Timeout { .. } => true,
            Self::Failed { fault, .. } => match fault {
                Fault::Connect(_)
                | Fault::ConnectTimeout
                | Fault::FirstByteTimeout
                | Fault::IdleTimeout
                | Fault::BrokeOff => true,
                Fault::TooLarge | Fault::Malformed | Fault::Address => false,
            },
        }
    }

    /// Did nothing reach the other side? Then even a call that has effects may be made again.
    pub fn is_before_sending(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Failed { fault, .. } => {
                matches!(fault, Fault::Connect(_) | Fault::ConnectTimeout | Fault::Address)
            }
            Self::Redirect { .. } | Self::Timeout { .. } | Self::TooLarge { .. } => false,
        }
    }

    /// The same for a call that a redirect asked for: somebody was reached before.
    pub(super) fn after_redirect(self, url: &Url) -> Self {
        match self {
            Self::Refused(_) => Self::Redirect { host: shown(url), fault: RedirectFault::Refused },
            Self::Failed { host, fault: Fault::Connect(_) | Fault::ConnectTimeout | Fault::Address } => {
                Self::Failed { host, fault: Fault::BrokeOff }
            }
            fault => fault,
        }
    }

    pub(super) fn of_body(host: &Arc<str>, fault: Fault, limit: usize) -> Self {
        let host = Arc::clone(host);
        match fault {
            Fault::TooLarge => Self::TooLarge { host, limit },
            fault => Self::Failed { host, fault },
        }
    }

    /// Reads the error of a request that got no answer. Its own text holds the URL.
    pub(super) fn before_answer(host: &Arc<str>, error: &legacy::Error) -> Self {
        let mut source = error.source();
        while let Some(inner) = source {
            // What our resolver said, passed on by the connector.
            if let Some(refused) = inner.downcast_ref::<Refused>() {
                return Self::Refused(refused.clone());
            }
            source = inner.source();
        }
        Self::Failed { host: Arc::clone(host), fault: Fault::before_answer(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::{AddressKind, ConnectReason};

    #[test]
    fn behind_a_redirect_no_fault_is_before_sending() {
        let url = Url::parse("https://api.example.com/next").unwrap();
        let host: Arc<str> = "api.example.com".into();
        for fault in [Fault::Connect(ConnectReason::Refused), Fault::ConnectTimeout] {
            let fault = OutboundFault::Failed { host: Arc::clone(&host), fault };
            assert!(fault.is_before_sending() && !fault.after_redirect(&url).is_before_sending());
        }
        let refused = OutboundFault::Refused(Refused::Resolved { host, kind: AddressKind::Private });
        assert!(refused.is_before_sending() && !refused.after_redirect(&url).is_before_sending());
    }
}
