//! Layers of headers, and which layer wins: provider < agent < run, name by name, case making no difference.

use http::HeaderName;

use crate::name::is_credential;
use crate::trail::Layer;

/// Headers whose value is a list: every layer adds to it, and none replaces it.
const LIST_VALUED: [&str; 1] = ["anthropic-beta"];

/// What layers offer, name by name. The values are whatever the caller keeps for them: nothing is rendered that loses.
#[derive(Debug)]
pub(crate) struct Layers<T> {
    offers: Vec<Offer<T>>,
}

/// One header that a layer sets.
#[derive(Debug)]
pub(crate) struct Offer<T> {
    pub(crate) name: HeaderName,
    pub(crate) layer: Layer,
    pub(crate) value: T,
}

/// Who won, and what lost, with the reason.
#[derive(Debug)]
pub(crate) struct Resolved<T> {
    /// In the order in which names were first offered. A list-valued header may stand several times, lowest layer first.
    pub(crate) winners: Vec<Offer<T>>,
    pub(crate) losers: Vec<(Offer<T>, &'static str)>,
}

impl<T> Layers<T> {
    pub(crate) fn new() -> Self {
        Self { offers: Vec::new() }
    }

    pub(crate) fn offer(&mut self, layer: Layer, name: HeaderName, value: T) {
        self.offers.push(Offer { name, layer, value });
    }

    /// Decides. `removed` are names that this run takes away from the layers below it.
    pub(crate) fn resolve(self, removed: &[HeaderName]) -> Resolved<T> {
        // The strongest layer that sets a credential, under whatever name, is the only one that does.
        let credential_layer =
            self.offers.iter().filter(|offer| is_credential(&offer.name)).map(|offer| offer.layer).max();
        let mut winners: Vec<Offer<T>> = Vec::with_capacity(self.offers.len());
        let mut losers = Vec::new();
        for offer in self.offers {
            if offer.layer < Layer::Runtime && removed.contains(&offer.name) {
                losers.push((offer, "removed for this run"));
                continue;
            }
            if is_credential(&offer.name) && Some(offer.layer) != credential_layer {
                losers.push((offer, "another layer sets the credential"));
                continue;
            }
            let same = winners.iter_mut().find(|winner| {
                winner.name == offer.name || (is_credential(&winner.name) && is_credential(&offer.name))
            });
            match same {
                Some(_) if LIST_VALUED.contains(&offer.name.as_str()) => winners.push(offer),
                Some(winner) if offer.layer > winner.layer => {
                    losers.push((std::mem::replace(winner, offer), "overridden by a later layer"));
                }
                Some(_) => losers.push((offer, "overridden by a later layer")),
                None => winners.push(offer),
            }
        }
        Resolved { winners, losers }
    }
}

/// Is this header's value a list that layers add to?
pub(crate) fn is_list_valued(name: &HeaderName) -> bool {
    LIST_VALUED.contains(&name.as_str())
}
