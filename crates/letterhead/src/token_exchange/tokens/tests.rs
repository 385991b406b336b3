use http::HeaderValue;
use zeroize::Zeroizing;

use super::*;

const NOW: i64 = 1_000_000_000;

fn used_for(lifetime: Option<i64>, own: Option<i64>, subject: Option<i64>) -> i64 {
    let issued = Issued {
        header: HeaderValue::from_static("Bearer t"),
        text: Zeroizing::new("t".to_owned()),
        lifetime,
        expires_at: own.map(|seconds| NOW / 1000 + seconds),
    };
    let subject = SubjectToken::new("s", subject.map(|seconds| NOW / 1000 + seconds));
    until_ms(NOW, &issued, &subject) - NOW
}

#[test]
fn a_token_is_used_until_shortly_before_its_end() {
    assert_eq!(used_for(Some(3600), None, None), 3_540_000, "a minute before");
    assert_eq!(used_for(Some(300), None, None), 240_000);
    assert_eq!(used_for(Some(10), None, None), 8_000, "a fifth of a short one");
    assert_eq!(used_for(Some(0), None, None), 0);
    assert_eq!(used_for(Some(i64::MAX), None, None), 86_340_000, "a day at most");
    assert_eq!(used_for(None, None, None), 48_000, "nobody said: not for long");
    assert_eq!(used_for(None, Some(300), None), 240_000, "by its own words");
    assert_eq!(used_for(Some(300), Some(10), None), 8_000, "the earlier of both");
    assert_eq!(used_for(None, Some(-10), None), 0);
}

#[test]
fn a_token_never_outlives_the_one_it_was_traded_for() {
    assert_eq!(used_for(Some(3600), None, Some(5)), 5_000);
    assert_eq!(used_for(Some(3600), None, Some(-1)), -1_000);
    assert_eq!(used_for(Some(300), None, Some(3600)), 240_000);
    assert_eq!(used_for(Some(i64::MAX), None, Some(i64::MAX - NOW)), 86_340_000);
}
