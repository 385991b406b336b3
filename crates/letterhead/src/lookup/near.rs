//! Which key may have been meant by one that is not there.
//!
//! A model may ask for many keys in one answer, and writes them as long as it likes: each name is looked at once, and no
//! further than its first characters. What two names have in common is counted in pairs of neighbouring characters, which
//! takes time by their lengths, where a distance in edits takes their product.

use std::cmp::Reverse;

/// How many characters of a name are looked at.
const LOOKED_AT: usize = 64;

/// How much two names must have in common, in hundredths.
const ALIKE: usize = 45;

/// How many letters and digits a name must have to be near whatever contains it.
const WORD: usize = 3;

/// The keys that are near to what was wanted, the nearest first. What is compared are names, each with its key: a key may
/// have several.
pub(super) fn nearest_keys<'a>(wanted: &str, names: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<&'a str> {
    let wanted = Name::of(wanted);
    let likeness = |(key, name)| (wanted.likeness(&Name::of(name)), key);
    let mut near: Vec<(usize, &str)> =
        names.into_iter().map(likeness).filter(|(likeness, _)| *likeness >= ALIKE).collect();
    near.sort_by_key(|(likeness, key)| (Reverse(*likeness), *key));
    let mut keys: Vec<&str> = Vec::new();
    for (_, key) in near {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// A name as it is compared: small letters and digits.
struct Name {
    text: String,
    /// Neighbouring characters, in order, each pair once.
    pairs: Vec<(char, char)>,
}

impl Name {
    fn of(name: &str) -> Self {
        let letters = name.chars().take(LOOKED_AT).filter(|c| c.is_alphanumeric());
        let text: String = letters.flat_map(char::to_lowercase).collect();
        let mut pairs: Vec<_> = text.chars().zip(text.chars().skip(1)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        Self { text, pairs }
    }

    /// What they have in common, in hundredths of what they have.
    fn likeness(&self, other: &Self) -> usize {
        let common = self.pairs.iter().filter(|pair| other.pairs.binary_search(pair).is_ok()).count();
        let all = (self.pairs.len() + other.pairs.len()).max(1);
        let contains = |one: &Self, other: &Self| other.pairs.len() + 1 >= WORD && one.text.contains(&other.text);
        let least = if contains(self, other) || contains(other, self) { ALIKE } else { 0 };
        (200 * common / all).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near<'a>(wanted: &str, names: &[&'a str]) -> Vec<&'a str> {
        nearest_keys(wanted, names.iter().map(|name| (*name, *name)))
    }

    #[test]
    fn what_is_mistyped_a_part_or_more_than_the_key_is_near() {
        let keys = ["opening-hours", "refund-policy", "refunds", "secret-plans", "faq", "v1"];
        for (wanted, first) in [
            ("opening_hour", Some("opening-hours")),
            ("opneing-hours", Some("opening-hours")),
            ("Opening", Some("opening-hours")),
            ("hours", Some("opening-hours")),
            ("the opening hours", Some("opening-hours")),
            ("refund", Some("refunds")),
            ("policy", Some("refund-policy")),
            ("FAQ!", Some("faq")),
            ("our-faq-of-2024-in-full", Some("faq")),
            ("plan", Some("secret-plans")),
            ("v", None),
            ("v1-and-everything-else", None),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(near(wanted, &keys).first().copied(), first, "{wanted}");
        }
        assert_eq!(near("refund", &keys), ["refunds", "refund-policy"], "the nearest first");
    }

    #[test]
    fn a_key_is_told_once_by_whichever_name_is_nearest() {
        let names = [("k1", "k1"), ("k1", "Opening hours"), ("opening", "opening"), ("opening", "Opening")];
        assert_eq!(nearest_keys("opening hours", names), ["k1", "opening"]);
    }

    #[test]
    fn each_name_is_looked_at_once_and_no_further_than_its_first_characters() {
        let names: Vec<String> = (0..1_000).map(|n| format!("{}{n:03}", "handbook.".repeat(13))).collect();
        let mut looked_at = 0;
        let counted = names.iter().map(|name| (name.as_str(), name.as_str())).inspect(|_| looked_at += 1);
        assert_eq!(nearest_keys(&"handbook-".repeat(100_000), counted).len(), 1_000);
        assert_eq!(looked_at, 1_000);
        let name = Name::of(&('a'..='\u{ffff}').cycle().take(1_000_000).collect::<String>());
        assert!(name.pairs.len() < LOOKED_AT && name.text.chars().count() <= LOOKED_AT, "{}", name.pairs.len());
    }
}
