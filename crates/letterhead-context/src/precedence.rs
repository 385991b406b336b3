//! Layers of headers, and which layer wins: provider < agent < run, name by name, case making no difference.

use http::HeaderName;

use crate::name::is_credential;
use crate::trail::Layer;

/// Headers whose value is a list: every layer adds to it, and none replaces it.
const LIST_VALUED: [&str; 1] = ["anthropic-beta"];

/// What layers offer, name by name. The values are whatever the caller keeps for them: nothing is rendered that loses.
#[derive(Debug)]
pub(crate) struct Layers<'a, T> {
    offers: Vec<Offer<'a, T>>,
}

/// One header that a layer sets.
#[derive(Debug)]
pub(crate) struct Offer<'a, T> {
    pub(crate) name: &'a HeaderName,
    pub(crate) layer: Layer,
    pub(crate) value: T,
}

/// Who won, and what lost, with the reason.
#[derive(Debug)]
pub(crate) struct Resolved<'a, T> {
    /// In the order in which names were first offered. A list-valued header may stand several times, lowest layer first.
    pub(crate) winners: Vec<Offer<'a, T>>,
    pub(crate) losers: Vec<(Offer<'a, T>, &'static str)>,
}

impl<'a, T> Layers<'a, T> {
    pub(crate) fn with_capacity(offers: usize) -> Self {
        Self { offers: Vec::with_capacity(offers) }
    }

    pub(crate) fn offer(&mut self, layer: Layer, name: &'a HeaderName, value: T) {
        self.offers.push(Offer { name, layer, value });
    }

    /// Decides. `removed` are names that this run takes away from the layers below it.
    pub(crate) fn resolve(self, removed: &[HeaderName]) -> Resolved<'a, T> {
        let is_removed = |offer: &Offer<'_, T>| offer.layer < Layer::Runtime && removed.contains(offer.name);
        // The strongest layer that sets a credential, under whatever name, is the only one that does.
        let credentials = self.offers.iter().filter(|offer| is_credential(offer.name) && !is_removed(offer));
        let credential_layer = credentials.map(|offer| offer.layer).max();
        let mut winners: Vec<Offer<'a, T>> = Vec::with_capacity(self.offers.len());
        let mut losers = Vec::new();
        for offer in self.offers {
            if is_removed(&offer) {
                losers.push((offer, "removed for this run"));
                continue;
            }
            let is_a_credential = is_credential(offer.name) || offer.layer == Layer::Credential;
            if is_a_credential && credential_layer.is_some_and(|layer| layer != offer.layer) {
                losers.push((offer, "another layer sets the credential"));
                continue;
            }
            let same = winners
                .iter_mut()
                .find(|winner| winner.name == offer.name || (is_credential(winner.name) && is_credential(offer.name)));
            match same {
                Some(_) if is_list_valued(offer.name) => winners.push(offer),
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
