//! One request to a destination that is no LLM, put together in a line or two.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use http::Method;
use letterhead_context::{
    BodySource, Caller, CallerSource, Credentials, Destination, DestinationKind, HeaderSchema, ListedEnv, NotSent,
    RenderedRequest, RequestContext, RequestFault, RequestSource, RequestTemplate, Scope, Secret, Sent, TenantId,
    TextSource, TrailEntry, UserId, Values,
};
use serde_json::{Value, json};

/// A secret that must come out nowhere but where it is sent.
pub(crate) const CANARY: &str = "s3cr3t-c4n4ry";

/// A request, and who makes it. Without anything said, one to `https://api.example.com/` by a caller without headers.
#[derive(Clone)]
pub(crate) struct Request {
    method: Method,
    url: String,
    literal: bool,
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
    form: Option<Vec<(String, String)>>,
    body: Option<Value>,
    sent: BTreeMap<String, Value>,
    values: Values,
    args: bool,
    env: BTreeMap<String, String>,
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, TextSource<'_>)> {
    pairs.iter().map(|(name, value)| (name.as_str(), TextSource::Template(value))).collect()
}

static SCHEMA: LazyLock<HeaderSchema> = LazyLock::new(|| {
    HeaderSchema::compile(&json!({ "properties": {
        "user_id": {}, "org_name": {}, "plan": {}, "seats": { "type": "integer" }, "ratio": { "type": "number" }, "flag": { "type": "boolean" },
        "tags": { "type": "array" }, "meta": { "type": "object" }, "auth_token": { "writeOnly": true },
    } }))
    .unwrap()
});

#[expect(dead_code, reason = "each test file uses its own part of this")]
impl Request {
    pub(crate) fn to(url: &str) -> Self {
        Self {
            method: Method::GET,
            url: url.to_owned(),
            literal: false,
            headers: Vec::new(),
            query: Vec::new(),
            form: None,
            body: None,
            sent: BTreeMap::new(),
            values: Values::default(),
            args: false,
            env: BTreeMap::from([("BASE".to_owned(), "https://env.example.com/v2/".to_owned())]),
        }
    }

    pub(crate) fn post(body: Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::to("https://api.example.com/") }
    }

    pub(crate) fn literal(self) -> Self {
        Self { literal: true, ..self }
    }

    pub(crate) fn headers(self, headers: &[(&str, &str)]) -> Self {
        Self { headers: owned(headers), ..self }
    }

    pub(crate) fn query(self, query: &[(&str, &str)]) -> Self {
        Self { query: owned(query), ..self }
    }

    pub(crate) fn body(self, body: Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..self }
    }

    pub(crate) fn form(self, form: &[(&str, &str)]) -> Self {
        Self { method: Method::POST, form: Some(owned(form)), ..self }
    }

    /// A context header of the caller.
    pub(crate) fn sent(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.sent.insert(name.to_owned(), value.into());
        self
    }

    /// The context variable `user`.
    pub(crate) fn user(mut self, value: Value) -> Self {
        self.values.variables = [(Arc::from("user"), Arc::new(value))].into_iter().collect();
        self
    }

    /// The arguments of a tool call.
    pub(crate) fn args(mut self, args: Value) -> Self {
        self.values.args = Some(Arc::new(args));
        self.args = true;
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn masked(mut self) -> Self {
        self.values.masked = true;
        self
    }

    pub(crate) fn compiled(&self) -> Result<RequestTemplate, Vec<RequestFault>> {
        let variables = ["user".to_owned()];
        let env: Vec<String> = self.env.keys().cloned().chain(["UNSET".to_owned()]).collect();
        let credentials = ["crm".to_owned(), "gone".to_owned()];
        let scope =
            Scope { schema: &SCHEMA, variables: &variables, env: &env, credentials: &credentials, args: self.args };
        let url = if self.literal { TextSource::Literal(&self.url) } else { TextSource::Template(&self.url) };
        let body = match (&self.body, &self.form) {
            (Some(json), _) => BodySource::Json(json),
            (None, Some(form)) => BodySource::Form(borrowed(form)),
            (None, None) => BodySource::None,
        };
        let source = RequestSource {
            method: self.method.clone(),
            url,
            headers: borrowed(&self.headers),
            query: borrowed(&self.query),
            body,
        };
        RequestTemplate::compile(source, scope)
    }

    pub(crate) fn outcome(&self) -> (Result<RenderedRequest, NotSent>, Vec<TrailEntry>) {
        self.outcome_of(&self.compiled().unwrap_or_else(|faults| panic!("{}: {faults:?}", self.url)))
    }

    /// What comes of a template that was compiled before.
    pub(crate) fn outcome_of(&self, template: &RequestTemplate) -> (Result<RenderedRequest, NotSent>, Vec<TrailEntry>) {
        let stored = self.sent.iter().map(|(name, value)| (name.as_str(), value));
        let headers = SCHEMA.merge(stored, &Sent::nothing(), &[]).unwrap();
        let caller = Caller::new(TenantId::new("acme"), Some(UserId::new("zoe")), CallerSource::ApiKey);
        let context = RequestContext::builder(caller, headers)
            .env(ListedEnv::new(self.env.clone()))
            .credentials(Credentials::from_iter([("crm", Secret::new(CANARY.into()))]))
            .build("assistant");
        let mut trail = Vec::new();
        let destination = Destination::new("context.user", DestinationKind::Fetcher);
        (template.render(&destination, &context, &self.values, &mut trail), trail)
    }

    pub(crate) fn rendered(&self) -> RenderedRequest {
        self.outcome().0.unwrap_or_else(|refused| panic!("{}: {refused}", self.url))
    }

    pub(crate) fn refused(&self) -> NotSent {
        match self.outcome().0 {
            Ok(rendered) => panic!("sent: {} {:?}", rendered.url, rendered.body),
            Err(refused) => refused,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.rendered().url.to_string()
    }

    /// The trail, entry by entry.
    pub(crate) fn trail(&self) -> Vec<String> {
        self.outcome().1.iter().map(line).collect()
    }

    /// The body as it is written.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.rendered().body.unwrap().to_vec()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }
}

/// An entry of the trail as a line: what, from where, into which part, and what became of it.
fn line(entry: &TrailEntry) -> String {
    let json = serde_json::to_value(entry).unwrap();
    assert_eq!((&json["agent"], &json["destination"]), (&json!("assistant"), &json!("context.user")));
    assert_eq!((&json["kind"], &json["layer"]), (&json!("fetcher"), &json!("destination")));
    let part = json["part"].as_str().map_or_else(String::new, |part| format!(" in the {part}"));
    let fate = if entry.sent { "sent" } else { entry.reason.as_deref().unwrap() };
    format!("{} from {}{part}: {fate}", entry.header, entry.from)
}
