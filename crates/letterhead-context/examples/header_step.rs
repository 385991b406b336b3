//! What the headers of one request cost: admit, merge and validate, render two templates, build the headers of the LLM
//! call. Prints nanoseconds for each part and for the whole step: the fastest of many batches, because a neighbour on the
//! same core slows a batch down and never speeds one up.
//!
//! ```text
//! cargo run --release -p letterhead-context --example header_step
//! ```

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::{
    Caller, Credential, HeaderBudget, HeaderLimits, HeaderSchema, HeaderTemplates, Ingress, LlmDestination,
    RequestContext, RuntimeNames, Scope, SessionId, SessionMode, Sink, Template, TextSource, View,
};
use serde_json::json;

/// Twenty headers as a browser application behind a proxy sends them: fourteen declared, two for the model call, and
/// four that nobody declared.
const REQUEST: [(&str, &str); 20] = [
    ("host", "agents.example.com"),
    ("user-agent", "OpenAI/Python 2.8.1"),
    ("accept", "application/json"),
    ("content-type", "application/json"),
    ("user-id", "u_4711"),
    ("org-id", "org_acme01"),
    ("org-name", "Acme Industrial Fittings"),
    ("auth-token", "tok_0123456789abcdef0123456789abcdef"),
    ("plan", "enterprise"),
    ("seats", "250"),
    ("trial", "no"),
    ("locale", "en-GB"),
    ("time-zone", "Europe/London"),
    ("roles", "admin, billing, support"),
    ("email", "jo@acme.example"),
    ("region", "eu-west-2"),
    ("client-version", "2.14.0"),
    ("score", "0.75"),
    ("x-environment", "production"),
    ("x-request-id", "req-0a1b2c3d"),
];

const INSTRUCTIONS: &str = "You are a helpful assistant for {{ headers.user_id }} of \
    {{ headers.org_name | default('an unknown organisation') }}, who has the plan {{ headers.plan }} and \
    {{ headers.seats }} seats.\n{% if headers.trial %}It is a trial.{% else %}It is a paying customer.{% endif %} \
    Answer in the language of {{ headers.locale }}.";

struct Step {
    ingress: Ingress,
    instructions: Template,
    provider: HeaderTemplates,
    agent: HeaderTemplates,
    credential: Credential,
    name: Arc<str>,
}

impl Step {
    fn new() -> Result<Self, Box<dyn Error>> {
        let schema = HeaderSchema::compile(&json!({
            "required": ["user_id", "auth_token"],
            "properties": {
                "user_id": { "type": "string", "maxLength": 64 },
                "org_id": { "type": "string", "pattern": "^org_[a-z0-9]+$" },
                "org_name": { "type": "string", "maxLength": 80 },
                "auth_token": { "type": "string", "writeOnly": true },
                "plan": { "enum": ["free", "team", "enterprise"] },
                "seats": { "type": "integer", "minimum": 1 },
                "trial": { "type": "boolean" },
                "locale": { "type": "string", "default": "en" },
                "time_zone": { "type": "string" },
                "roles": { "type": "array", "items": { "type": "string" }, "maxItems": 8 },
                "email": { "type": "string", "format": "email" },
                "region": { "type": "string" },
                "client_version": { "type": "string" },
                "score": { "type": "number", "maximum": 1 },
            },
        }))
        .map_err(|faults| format!("{faults:?}"))?;
        let runtime = RuntimeNames::new(["X-Request-ID", "X-Environment"])
            .and_then(|names| names.with_declared(&schema))
            .map_err(|faults| format!("{faults:?}"))?;
        let scope = Scope::of(&schema);
        let set = |entries: &[(&'static str, &'static str)]| {
            HeaderTemplates::compile(entries.iter().map(|(name, text)| (*name, TextSource::Template(text))), scope)
                .map_err(|faults| format!("{faults:?}"))
        };
        Ok(Self {
            instructions: Template::compile(INSTRUCTIONS, Sink::Instructions, scope)
                .map_err(|faults| format!("{faults:?}"))?,
            provider: set(&[("X-App", "letterhead")])?,
            agent: set(&[
                ("X-Agent-ID", "assistant"),
                ("X-Environment", "staging"),
                ("X-Org", "{{ headers.org_id }}"),
            ])?,
            credential: Credential::bearer(Template::literal("sk-0123456789", Sink::Header)),
            name: Arc::from("providers.openai"),
            ingress: Ingress::new(schema, runtime, HeaderLimits::default()),
        })
    }

    fn run(&self, headers: HeaderMap) -> Result<Parts, Box<dyn Error>> {
        let start = Instant::now();
        let admitted = self.ingress.admit(headers).map_err(|rejected| format!("{rejected:?}"))?;
        let admit = start.elapsed();
        let effective = self.ingress.schema().merge([], &admitted.sent, &[]).map_err(|faults| format!("{faults:?}"))?;
        let context = RequestContext::builder(Caller::anonymous(), effective)
            .runtime(admitted.runtime)
            .session(SessionId::parse("sess-456")?, SessionMode::Normal)
            .request_id("req-0a1b2c3d")
            .build("assistant");
        let merge = start.elapsed();
        let view = View::new(Sink::Instructions, &context);
        black_box(self.instructions.render(&view)?);
        let render = start.elapsed();
        let destination = LlmDestination {
            name: &self.name,
            credential: Some(&self.credential),
            provider: &self.provider,
            agent: &self.agent,
            budget: HeaderBudget::default(),
        };
        let mut trail = Vec::new();
        let view = View::new(Sink::Header, &context);
        black_box(destination.headers(&context, &view, &mut trail)?);
        Ok([admit, merge - admit, render - merge, start.elapsed() - render])
    }
}

/// The time of each part: admit, merge, instructions, LLM headers.
type Parts = [Duration; 4];

const BATCHES: u32 = 100;
const ROUNDS: u32 = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let step = Step::new()?;
    let mut request = HeaderMap::new();
    for (name, value) in REQUEST {
        request.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let mut best = [Duration::MAX; 4];
    for _ in 0..BATCHES {
        let mut spent = [Duration::ZERO; 4];
        for _ in 0..ROUNDS {
            // The clone of the request is not part of the step; the clock, read five times a round, is.
            let parts = step.run(black_box(request.clone()))?;
            spent.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
        if spent.iter().sum::<Duration>() < best.iter().fold(Duration::ZERO, |sum, part| sum.saturating_add(*part)) {
            best = spent;
        }
    }
    let nanoseconds = |spent: Duration| spent.as_nanos() / u128::from(ROUNDS);
    for (part, spent) in ["admit", "merge, context", "instructions", "LLM headers"].iter().zip(best) {
        println!("{part:<16} {:>6} ns", nanoseconds(spent));
    }
    println!("{:<16} {:>6} ns", "header step", nanoseconds(best.iter().sum()));
    Ok(())
}
