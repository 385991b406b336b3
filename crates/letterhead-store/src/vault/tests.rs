//! What opens a sealed value, and that nothing else does.

use letterhead_context::{SessionId, TenantId, UserId};
use proptest::prelude::*;

use super::*;

const ONE: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
const TWO: &str = "fefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefe";

fn vault(current: &str, previous: Option<&str>) -> Vault {
    Vault::new(VaultKey::parse(current).unwrap(), previous.map(|key| VaultKey::parse(key).unwrap()))
}

fn session(tenant: &str, user: Option<&str>, id: &str) -> SessionKey {
    SessionKey { tenant: TenantId::new(tenant), user: user.map(UserId::new), id: SessionId::parse(id).unwrap() }
}

fn opened(vault: &Vault, session: &SessionKey, field: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    vault.open(SecretPlace::header(session, field), sealed).map(|opened| opened.plaintext.to_vec())
}

#[test]
fn a_key_is_64_hex_digits_and_nothing_else() {
    assert!(VaultKey::parse(ONE).is_ok());
    for wrong in ["", "0", &ONE[1..], &format!("{ONE}0"), &format!(" {}", &ONE[1..]), &ONE.replace('0', "g")] {
        assert_eq!(VaultKey::parse(wrong).err(), Some(BadKey), "{wrong}");
    }
    // As many bytes as a key has, but in fewer characters.
    assert_eq!(VaultKey::parse(&"é".repeat(32)).err(), Some(BadKey));
    let (one, two) = (VaultKey::generate().unwrap(), VaultKey::generate().unwrap());
    assert!(one.len() == 64 && VaultKey::parse(&one).is_ok() && one != two);
}

#[test]
fn case_is_no_part_of_a_key() {
    let session = session("t", None, "s");
    let sealed = vault(ONE, None).seal(SecretPlace::header(&session, "f"), b"value").unwrap();
    assert_eq!(opened(&vault(&ONE.to_lowercase(), None), &session, "f", &sealed).unwrap(), b"value");
}

#[test]
fn the_previous_key_opens_and_never_seals() {
    let session = session("t", Some("u"), "s");
    let place = SecretPlace::header(&session, "f");
    let old = vault(ONE, None).seal(place, b"value").unwrap();
    let rotated = vault(TWO, Some(ONE));
    assert!(rotated.open(place, &old).unwrap().is_old);
    let new = rotated.seal(place, b"value").unwrap();
    assert!(!rotated.open(place, &new).unwrap().is_old);
    assert!(vault(TWO, None).open(place, &new).is_some());
    assert!(vault(ONE, None).open(place, &new).is_none());
    assert!(vault(TWO, None).open(place, &old).is_none());
}

#[test]
fn no_two_values_look_alike_and_no_user_is_not_an_empty_one() {
    let (nobody, empty) = (session("t", None, "s"), session("t", Some(""), "s"));
    let vault = vault(ONE, None);
    let place = SecretPlace::header(&nobody, "f");
    let (first, second) = (vault.seal(place, b"value").unwrap(), vault.seal(place, b"value").unwrap());
    assert!(first[9..] != second[9..]);
    assert_eq!(opened(&vault, &nobody, "f", &first).unwrap(), b"value");
    assert_eq!(opened(&vault, &empty, "f", &first), None);
}

#[test]
fn debug_shows_nothing_of_a_key() {
    let shown = format!("{:?} {:#?} {:?}", VaultKey::parse(ONE).unwrap(), vault(ONE, Some(TWO)), BadKey).to_lowercase();
    for part in ["0011", "fefe", "254", "[", "17, 34"] {
        assert!(!shown.contains(part), "{part}: {shown}");
    }
    assert!(!BadKey.to_string().contains("0011"));
}

fn name() -> impl Strategy<Value = String> {
    "[a-c\u{0}\u{1}]{0,3}"
}

fn place() -> impl Strategy<Value = (String, Option<String>, String, String)> {
    (name(), proptest::option::of(name()), "[a-c]{1,3}", name())
}

proptest! {
    #[test]
    fn what_was_sealed_opens_in_its_place_alone(value: Vec<u8>, here in place(), there in place()) {
        let vault = vault(ONE, Some(TWO));
        let [(at, field), (elsewhere, other)] = [&here, &there]
            .map(|(tenant, user, id, field)| (session(tenant, user.as_deref(), id), field));
        let sealed = vault.seal(SecretPlace::header(&at, field), &value).unwrap();
        prop_assert_eq!(opened(&vault, &at, field, &sealed), Some(value.clone()));
        prop_assert_eq!(sealed.len(), HEAD_LEN + value.len() + TAG_LEN);
        prop_assert_eq!(opened(&vault, &elsewhere, other, &sealed).is_some(), here == there);
    }

    #[test]
    fn no_flipped_bit_and_no_missing_byte_goes_unseen(value in proptest::collection::vec(any::<u8>(), 0..40)) {
        let vault = vault(ONE, Some(TWO));
        let session = session("t", Some("u"), "s");
        let place = SecretPlace::header(&session, "f");
        let sealed = vault.seal(place, &value).unwrap();
        for bit in 0..8 * sealed.len() {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(vault.open(place, &damaged).is_none(), "bit {}", bit);
        }
        for length in 0..sealed.len() {
            prop_assert!(vault.open(place, &sealed[..length]).is_none(), "{} bytes", length);
        }
        prop_assert!(vault.open(place, &[&sealed[..], b"x"].concat()).is_none());
    }
}

#[test]
fn a_header_and_a_variable_of_one_name_stand_in_different_places() {
    let session = session("t", Some("u"), "s");
    let (header, variable) = (SecretPlace::header(&session, "user"), SecretPlace::variable(&session, "user"));
    let vault = vault(ONE, None);
    for (here, there) in [(header, variable), (variable, header)] {
        let sealed = vault.seal(here, b"value").unwrap();
        assert_eq!(vault.open(here, &sealed).unwrap().plaintext.as_slice(), b"value");
        assert!(vault.open(there, &sealed).is_none());
    }
    // Nor can a header be called so that it stands where a variable does.
    let mut lengthened = "user".to_owned();
    lengthened.push_str("\0\0\0\0\0\0\0\u{8}variable");
    assert_ne!(SecretPlace::header(&session, &lengthened).bytes(), variable.bytes());
}
