//! The check of a rendered path, on what a template may have made.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use url::Url;

use super::{MARK, check, read};

fn is_refused(text: &str) -> bool {
    check(&text.replace('*', &MARK.to_string())).is_err()
}

#[test]
fn a_percent_sign_before_a_value_is_refused_however_many_marks_are_between() {
    for text in ["/a%*2e", "/a%2*e", "/a%***2e", "/a%*2*e", "/*b%f**0", "/?q=%*41"] {
        assert!(is_refused(text), "{text}");
    }
    for text in ["/a%25*", "/a%41*b", "/*%41", "/a*2e", "/ab**", "/a*%4", "/%c3%b6***x"] {
        assert!(!is_refused(text), "{text}");
    }
}

/// An empty value leaves a mark alone, and a loop over such values as many as there are steps.
#[test]
fn many_marks_in_a_row_are_looked_at_once() {
    let (done, finished) = channel();
    thread::spawn(move || done.send(check(&format!("/a{}b", MARK.to_string().repeat(500_000))).is_ok()));
    assert_eq!(finished.recv_timeout(Duration::from_secs(20)), Ok(true));
}

proptest! {
    #[test]
    fn an_address_that_is_known_is_read_as_if_it_were_not(
        address in prop::sample::select(vec![
            "https://api.example.com/", "http://127.0.0.1:8080/", "http://[::1]/", "https://example.com/v1", "https://example.com/?a=/",
        ]),
        known in any::<bool>(),
        rest in "[/\\\\?#.%@:2eE\t\n\r a\u{fc}]{0,12}",
    ) {
        let address = Url::parse(address).unwrap();
        let before = if known { address.as_str().trim_end_matches('/') } else { "https://example.org" };
        for text in [format!("{before}{rest}"), format!("{before}/{rest}")] {
            prop_assert_eq!(read(&text, &address), Url::parse(&text), "{}", text);
        }
    }
}
