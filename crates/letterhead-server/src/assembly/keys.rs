//! The keys that secrets are stored with. They come from the environment: a file that has them is not to be shared.

use std::sync::Arc;

use letterhead_store::{Vault, VaultKey};
use zeroize::Zeroizing;

use crate::config::{Diagnostic, Env, Faults};

/// The variable with the key that secrets are encrypted with.
pub const KEY: &str = "LETTERHEAD_KEY";

/// The variable with the key before that, which still decrypts.
pub const PREVIOUS_KEY: &str = "LETTERHEAD_KEY_PREVIOUS";

/// Whether there is a key, be it a good one or not.
pub(super) fn is_set(env: Env<'_>) -> bool {
    env(KEY).is_some()
}

/// What encrypts secrets; none where no key is set, or where there was a fault.
pub(super) fn vault(env: Env<'_>, faults: &Faults<'_>) -> Option<Arc<Vault>> {
    let read = |name: &str| {
        let key = VaultKey::parse(&Zeroizing::new(env(name)?));
        if let Err(bad) = &key {
            let fault = Diagnostic::error(None, format!("the environment variable `{name}` is not a key: {bad}"));
            faults.add(fault.with_help("`letterhead key new` makes one"));
        }
        key.ok()
    };
    let (current, previous) = (read(KEY), read(PREVIOUS_KEY));
    if previous.is_some() && !is_set(env) {
        let message = format!("the environment variable `{PREVIOUS_KEY}` is set, but `{KEY}` is not");
        let help = format!("set `{KEY}` to the key that replaces it, or to the same one");
        faults.add(Diagnostic::error(None, message).with_help(help));
    }
    Some(Arc::new(Vault::new(current?, previous)))
}
