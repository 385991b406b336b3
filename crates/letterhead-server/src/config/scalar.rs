//! What an unquoted YAML text means: the core schema of YAML 1.2 (chapter 10.3), so `no` and `on` are texts.

use serde_json::{Number, Value};

/// Reads a plain scalar. `.inf` and `.nan` have no JSON form and stay texts.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let positive = text.strip_prefix('+').unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let whole = positive.parse::<i64>().map(Number::from).or_else(|_| positive.parse::<u64>().map(Number::from));
        return whole.ok().or_else(|| Number::from_f64(positive.parse().ok()?));
    }
    is_float(unsigned).then(|| positive.parse().ok().and_then(Number::from_f64)).flatten()
}

fn radix(digits: &str, radix: u32) -> Option<Number> {
    digits
        .chars()
        .all(|digit| digit.is_digit(radix))
        .then(|| u64::from_str_radix(digits, radix).ok())
        .flatten()
        .map(Number::from)
}

/// `(\. [0-9]+ | [0-9]+ (\. [0-9]*)?) ([eE] [-+]? [0-9]+)?`
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (!whole.is_empty() || !fraction.is_empty())
        && digits(whole)
        && digits(fraction)
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::resolve;

    #[test]
    fn plain_texts_are_read_by_the_core_schema() {
        let cases = [
            ("8080", json!(8080)),
            ("-1", json!(-1)),
            ("+7", json!(7)),
            ("007", json!(7)),
            ("18446744073709551615", json!(u64::MAX)),
            ("0.2", json!(0.2)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("0xff", json!(255)),
            ("0o17", json!(15)),
            ("True", json!(true)),
            ("~", Value::Null),
        ];
        for (text, value) in cases {
            assert_eq!(resolve(text), value, "{text}");
        }
        for text in [
            "no",
            "on",
            "yes",
            "1_000",
            "-",
            ".",
            "e5",
            "1e",
            "0x",
            "0xg",
            ".inf",
            "2023-06-01",
            "127.0.0.1",
            "10s",
            "1.2.3",
        ] {
            assert_eq!(resolve(text), json!(text));
        }
    }
}
