//! The context headers that a program gives a run.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use letterhead_context::{
    Code, Fault, HeaderLimits, HeaderSchema, Headers, Ingress, Place, Problem, RuntimeNames, Sent,
};

/// Admits context headers as a server would, but takes an undeclared name for the mistake it is. The problem lists every
/// fault, and what is missing besides.
pub(super) fn admitted(
    given: &[(String, String)],
    schema: &HeaderSchema,
    requires: &[Arc<str>],
) -> Result<Headers, Problem> {
    let mut faults = Vec::new();
    let mut raw = HeaderMap::new();
    for (name, value) in given {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes())) {
            _ if schema.field(name).is_none() => {
                let hint = schema.nearest(name).map(|near| format!("; did you mean `{near}`?"));
                let detail = format!("it is not declared{}", hint.unwrap_or_default());
                faults.push(Fault::header(name.escape_debug().to_string(), Code::InvalidHeader, detail));
            }
            (Ok(name), Ok(value)) => {
                raw.append(name, value);
            }
            _ => faults.push(Fault::header(name.clone(), Code::InvalidHeaderValue, "it holds a control character")),
        }
    }
    if given.is_empty() {
        return schema.merge([], &Sent::nothing(), requires).map_err(Problem::faults);
    }
    let ingress = Ingress::new(schema.clone(), RuntimeNames::default(), HeaderLimits::default());
    let found = match ingress.admit(raw) {
        Ok(admitted) => schema.merge([], &admitted.sent, requires),
        Err(rejected) => Err(rejected.problem(schema, [], requires).errors().to_vec()),
    };
    if faults.is_empty() {
        return found.map_err(Problem::faults);
    }
    // One that cannot be read is not missing, too.
    let position = |fault: &Fault| match &fault.place {
        Place::Header(name) => schema.position(name),
        _ => None,
    };
    let told: Vec<_> = faults.iter().filter_map(position).collect();
    let more = found.err().unwrap_or_default().into_iter();
    faults.extend(more.filter(|fault| position(fault).is_none_or(|at| !told.contains(&at))));
    Err(Problem::faults(faults))
}
