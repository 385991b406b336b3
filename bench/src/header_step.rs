//! The header step alone: from a request's raw headers to two rendered templates, without a server around it.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use http::{HeaderMap, HeaderValue};
use letterhead_context::{
    Caller, HeaderLimits, HeaderSchema, Ingress, Rendered, RequestContext, RuntimeNames, Scope, Sink, Template, View,
};
use serde_json::json;

use crate::compare::{aim, verdict};
use crate::stats::Spread;
use crate::table::Cell;

const AIM_US: f64 = 5.0;
/// Request headers are made ahead of the clock, a batch at a time: the step consumes them.
const BATCH: usize = 500;

/// The twenty declared headers of the request.
const HEADERS: [(&str, &str); 20] = [
    ("user-id", "u_4711"),
    ("org-id", "org_acme01"),
    ("org-name", "Acme Industrial Fittings"),
    ("plan", "enterprise"),
    ("seats", "250"),
    ("auth-token", "tok_0123456789abcdef0123456789abcdef"),
    ("locale", "en-GB"),
    ("timezone", "Europe/London"),
    ("region", "eu-west-2"),
    ("department", "Maintenance"),
    ("role", "planner"),
    ("project", "Pump house 3"),
    ("beta", "true"),
    ("dark-mode", "no"),
    ("quota", "12.5"),
    ("priority", "3"),
    ("tags", "pumps, valves, night shift"),
    ("client-version", "4.18.2"),
    ("device", "tablet"),
    ("campaign", "autumn"),
];

/// What a request meets: rules of admission and two templates.
struct Step {
    ingress: Ingress,
    instructions: Template,
    header: Template,
}

impl Step {
    fn new() -> Result<Self> {
        let schema = HeaderSchema::compile(&json!({
            "required": ["user_id", "org_id", "auth_token"],
            "properties": {
                "user_id": { "type": "string", "minLength": 3, "maxLength": 64 },
                "org_id": { "type": "string", "pattern": "^org_[a-z0-9]{4,32}$" },
                "org_name": { "type": "string", "maxLength": 80 },
                "plan": { "type": "string", "enum": ["free", "team", "enterprise"] },
                "seats": { "type": "integer", "minimum": 1, "maximum": 100_000 },
                "auth_token": { "type": "string", "writeOnly": true, "minLength": 16 },
                "locale": { "type": "string", "maxLength": 16 },
                "timezone": { "type": "string" },
                "region": { "type": "string" },
                "department": { "type": "string", "maxLength": 40 },
                "role": { "type": "string" },
                "project": { "type": "string", "maxLength": 80 },
                "beta": { "type": "boolean" },
                "dark_mode": { "type": "boolean" },
                "quota": { "type": "number", "minimum": 0 },
                "priority": { "type": "integer", "minimum": 1, "maximum": 5 },
                "tags": { "type": "array", "items": { "type": "string" } },
                "client_version": { "type": "string" },
                "device": { "type": "string" },
                "campaign": { "type": "string" },
            },
        }))
        .map_err(|faults| anyhow!("{faults:?}"))?;
        let compile =
            |source, sink| Template::compile(source, sink, Scope::of(&schema)).map_err(|faults| anyhow!("{faults:?}"));
        let instructions = compile(
            "You are the assistant of {{ headers.org_name | default('an unknown organisation') }}, talking to \
             {{ headers.user_id }} on the {{ headers.plan }} plan.",
            Sink::Instructions,
        )?;
        let header = compile("Bearer {{ headers.auth_token }}", Sink::Header)?;
        Ok(Self {
            ingress: Ingress::new(schema, RuntimeNames::default(), HeaderLimits::default()),
            instructions,
            header,
        })
    }

    /// Admission, validation of the whole, the frozen context, and both templates.
    fn take(&self, raw: HeaderMap) -> Result<(Rendered, Rendered)> {
        let admitted = self.ingress.admit(raw).map_err(|rejected| anyhow!("{:?}", rejected.faults))?;
        let headers = self.ingress.schema().merge([], &admitted.sent, &[]).map_err(|faults| anyhow!("{faults:?}"))?;
        let context = RequestContext::builder(Caller::anonymous(), headers).build("assistant");
        let instructions = self.instructions.render(&View::new(Sink::Instructions, &context))?;
        let header = self.header.render(&View::new(Sink::Header, &context))?;
        Ok((instructions, header))
    }
}

fn request() -> HeaderMap {
    HEADERS
        .into_iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

/// Microseconds that the step takes, over `batches` batches of 500.
///
/// # Errors
/// When the step fails, or renders something else than it should.
pub(crate) fn measure(batches: usize) -> Result<Spread> {
    let step = Step::new()?;
    let Rendered::Text(text) = step.take(request())?.0 else { anyhow::bail!("the instructions are missing") };
    ensure!(text.contains("Acme Industrial Fittings, talking to u_4711"), "the instructions are wrong: {text}");

    let mut times = Vec::with_capacity(batches);
    for _ in 0..batches {
        let requests = vec![request(); BATCH];
        let begun = Instant::now();
        for raw in requests {
            black_box(step.take(black_box(raw))?);
        }
        times.push(begun.elapsed().as_secs_f64() * 1e6 / BATCH as f64);
    }
    Ok(Spread::of(&times))
}

/// The main table's row.
pub(crate) fn row(step: Spread) -> Vec<Cell> {
    vec![
        Cell::text("Header step alone: 20 headers, two templates"),
        Cell::none(),
        Cell::amount(step.median, "µs"),
        Cell::none(),
        aim(Some(AIM_US), "µs"),
        verdict(Some(AIM_US), step.median),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_does_its_work() {
        let (instructions, header) = Step::new().unwrap().take(request()).unwrap();
        let expected = "You are the assistant of Acme Industrial Fittings, talking to u_4711 on the enterprise plan.";
        assert_eq!(instructions, Rendered::Text(expected.into()));
        assert_eq!(header, Rendered::Text("Bearer tok_0123456789abcdef0123456789abcdef".into()));
    }

    #[test]
    fn a_wrong_header_is_refused() {
        let mut raw = request();
        raw.insert("seats", HeaderValue::from_static("many"));
        assert!(Step::new().unwrap().take(raw).is_err());
    }
}
