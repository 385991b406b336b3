use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::{Values, View};
use crate::template::Sink;
use crate::{Caller, Credentials, HeaderSchema, ListedEnv, RequestContext, Secret, Sent};

fn view(sink: Sink) -> View {
    let schema = HeaderSchema::compile(&json!({ "properties": { "auth_token": { "writeOnly": true } } })).unwrap();
    let headers = schema.merge([("auth_token", &json!("a secret"))], &Sent::nothing(), &[]).unwrap();
    let context = RequestContext::builder(Caller::anonymous(), headers)
        .env(ListedEnv::new(BTreeMap::from([("REGION".to_owned(), "eu".to_owned())])))
        .credentials(Credentials::from_iter([("crm", Secret::new("a secret".into()))]))
        .build("assistant");
    View::of(sink, &context, &Values { args: Some(Arc::new(json!({ "id": 1 }))), ..Values::default() })
}

/// Whether the members are there, by a look-up that no check stands before.
fn there(view: &View) -> [bool; 4] {
    let paths = [("headers", "auth_token"), ("env", "REGION"), ("credentials", "crm"), ("args", "id")];
    paths.map(|(root, member)| {
        let root = view.root().get_attr(root).unwrap();
        root.get_attr(member).is_ok_and(|value| !value.is_undefined())
    })
}

#[test]
fn what_is_for_destinations_is_not_in_a_models_view() {
    for sink in [Sink::Instructions, Sink::Description] {
        assert_eq!(there(&view(sink)), [false; 4]);
        // Nor does the view become another by being asked for another sink.
        assert_eq!(there(&view(sink).for_sink(Sink::Json)), [false; 4]);
        assert_eq!(view(sink).for_sink(Sink::Json).sink(), sink);
    }
    for sink in [Sink::Header, Sink::Url, Sink::Text, Sink::Json] {
        assert_eq!(there(&view(sink)), [true; 4]);
        assert_eq!(view(sink).for_sink(Sink::Instructions).sink(), sink);
    }
}
