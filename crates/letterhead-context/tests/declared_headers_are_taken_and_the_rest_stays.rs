//! In an application's own server the declared headers are taken out of a request, and every other one stays as it was.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::{Admitted, HeaderLimits, HeaderSchema, Ingress, Rejected, RuntimeNames};
use proptest::prelude::*;
use serde_json::json;

fn ingress() -> Ingress {
    let schema = HeaderSchema::compile(&json!({
        "required": ["user_no"],
        "properties": { "user_no": { "type": "integer" }, "tags": { "type": "array" }, "token": { "writeOnly": true } },
    }));
    let runtime = RuntimeNames::new(["X-Request-ID", "X-Team-*"]).unwrap();
    let limits = HeaderLimits { value: 12, total: 40 };
    Ingress::new(schema.unwrap(), runtime, limits)
}

/// Everything that is known of what came in, to be compared.
fn told(admitted: Result<Admitted, Box<Rejected>>, ingress: &Ingress) -> String {
    match admitted {
        Ok(Admitted { sent, identity, runtime, .. }) => {
            let runtime: Vec<_> =
                runtime.iter().map(|(name, value)| (name.clone(), value.as_bytes().to_vec())).collect();
            let values: Vec<_> = ingress.schema().merge([], &sent, &[]).map_or_else(
                |faults| vec![format!("{faults:?}")],
                |headers| {
                    let value = |name: &str| format!("{:?} {:?}", headers.get(name), headers.secret(name));
                    vec![value("user_no"), value("tags"), value("token")]
                },
            );
            format!("{values:?} {:?} {:?} {runtime:?}", identity.user_id, identity.session_id)
        }
        Err(rejected) => format!("{:?}", rejected.problem(ingress.schema(), [], &[])),
    }
}

const NAMES: [&str; 14] = [
    "user_no",
    "User-No",
    "user-no",
    "tags",
    "TAGS",
    "token",
    "cookie",
    "authorization",
    "x-user-id",
    "x-session-id",
    "x-request-id",
    "x-team-color",
    "content-type",
    "x-other",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"7".to_vec()),
        Just(b"".to_vec()),
        Just(b"a, b".to_vec()),
        Just(b"much too long a value".to_vec()),
        Just(vec![0xff, 0xfe]),
        "[a-z0-9 =?]{0,14}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn whatever_a_request_carries(sent in prop::collection::vec((prop::sample::select(&NAMES[..]), value()), 0..12)) {
        let mut headers = HeaderMap::new();
        for (name, value) in &sent {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        let ingress = ingress();
        let mut expected = HeaderMap::new();
        for (name, value) in &headers {
            if ingress.schema().field(name.as_str()).is_none() {
                expected.append(name.clone(), value.clone());
            }
        }
        let whole = told(ingress.admit(headers.clone()), &ingress);
        prop_assert_eq!(told(ingress.take(&mut headers), &ingress), whole, "the same is admitted");
        prop_assert_eq!(headers, expected, "and the rest stays");
    }
}
