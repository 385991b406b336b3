//! Secrets in a text that comes in pieces: one may be cut anywhere.

use zeroize::Zeroizing;

use super::{CarriedSecrets, REMOVED};

/// Takes [carried secrets](CarriedSecrets) out of a text that comes in pieces. What may be the beginning of one is held back
/// until it is known not to be.
///
/// Where there are no secrets, nothing is held back.
#[derive(Default)]
pub struct SecretsInPieces {
    /// What has not been given out.
    held: Zeroizing<String>,
}

impl SecretsInPieces {
    /// Takes the next piece. Gives what of the text is sure by now.
    pub fn push(&mut self, secrets: &CarriedSecrets, piece: &str) -> String {
        self.held.push_str(piece);
        // They are in the order of their length.
        let longest = secrets.0.first().map_or(1, |secret| secret.len());
        self.give(secrets, longest - 1)
    }

    /// The text is over. Gives the rest.
    pub fn finish(&mut self, secrets: &CarriedSecrets) -> String {
        self.give(secrets, 0)
    }

    /// Gives all but the last bytes. A secret that begins before those is whole.
    fn give(&mut self, secrets: &CarriedSecrets, keep: usize) -> String {
        let sure = self.held.floor_char_boundary(self.held.len().saturating_sub(keep));
        let secrets = secrets.0.iter();
        let mut found: Vec<(usize, usize)> = secrets
            .flat_map(|secret| self.held.match_indices(secret.as_str()).map(|(at, it)| (at, at + it.len())))
            .filter(|(at, _)| *at < sure)
            .collect();
        // The longer one of those that begin at one place.
        found.sort_unstable_by_key(|(at, end)| (*at, std::cmp::Reverse(*end)));
        let (mut given, mut from) = (String::new(), 0);
        for (at, end) in found {
            if at < from {
                continue;
            }
            given.push_str(self.held.get(from..at).unwrap_or_default());
            given.push_str(REMOVED);
            from = end;
        }
        given.push_str(self.held.get(from..sure).unwrap_or_default());
        let rest = self.held.get(from.max(sure)..).unwrap_or_default().to_owned();
        self.held = Zeroizing::new(rest);
        given
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn secrets(all: &[&str]) -> CarriedSecrets {
        let mut carried = CarriedSecrets::default();
        all.iter().for_each(|text| carried.add(text));
        carried.0.sort_unstable_by_key(|text| std::cmp::Reverse(text.len()));
        carried
    }

    #[test]
    fn without_secrets_nothing_is_held_back() {
        let none = CarriedSecrets::default();
        let mut pieces = SecretsInPieces::default();
        assert_eq!((pieces.push(&none, "Hel"), pieces.push(&none, "lo")), ("Hel".to_owned(), "lo".to_owned()));
        assert_eq!(pieces.finish(&none), "");
    }

    #[test]
    fn of_two_that_begin_alike_the_longer_is_taken() {
        let both = secrets(&["token-canary", "token-canary-more"]);
        let mut pieces = SecretsInPieces::default();
        let mut given = pieces.push(&both, "a token-canary");
        given.push_str(&pieces.push(&both, "-more b token-canary c"));
        given.push_str(&pieces.finish(&both));
        assert_eq!(given, format!("a {REMOVED} b {REMOVED} c"));
    }

    proptest! {
        #[test]
        fn however_a_text_is_cut_the_same_comes_out(
            parts in prop::collection::vec(prop::sample::select(vec![
                "s3cret-canary", "s3cret-canar", "päss wörd 1", "p%C3%A4ss%20w%C3%B6rd%201", "ä", " ", "x", "s3c", "‹",
            ]), 0..12),
            cuts in prop::collection::vec(0_usize..120, 0..12),
        ) {
            let carried = secrets(&["s3cret-canary", "päss wörd 1"]);
            let text = parts.concat();
            let mut whole = Value::from(text.as_str());
            carried.remove_from(&mut whole);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| text.floor_char_boundary(cut.min(text.len()))).collect();
            cuts.sort_unstable();
            let (mut pieces, mut given, mut from) = (SecretsInPieces::default(), String::new(), 0);
            for cut in cuts {
                given.push_str(&pieces.push(&carried, &text[from..cut]));
                from = cut;
            }
            given.push_str(&pieces.push(&carried, &text[from..]));
            given.push_str(&pieces.finish(&carried));
            prop_assert_eq!(given, whole.as_str().unwrap());
        }
    }
}
