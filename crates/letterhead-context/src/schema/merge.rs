//! Stored and sent headers become what a turn works on.

use std::sync::Arc;

use serde_json::Value;

use super::{HeaderSchema, expected};
use crate::headers::{Headers, Origin, Sent, SentValue};
use crate::problem::{Code, Fault, Place};

type Slot = (Option<Value>, Origin);

impl HeaderSchema {
    /// Puts together what a turn works on: what was stored, what was sent (which wins, field by field), then defaults;
    /// and validates the whole.
    ///
    /// `requires` are fields that the starting agent needs beyond those required of everyone, in any spelling.
    ///
    /// ```
    /// use letterhead_context::{HeaderSchema, Origin, Sent};
    /// use serde_json::json;
    ///
    /// let schema = HeaderSchema::compile(&json!({
    ///     "required": ["user_id"],
    ///     "properties": { "user_id": {}, "locale": { "default": "en" } },
    /// }))
    /// .unwrap();
    ///
    /// let stored = json!("u_1");
    /// let headers = schema.merge([("user_id", &stored)], &Sent::nothing(), &[]).unwrap();
    /// assert_eq!(headers.origin("user_id"), Origin::Stored);
    /// assert_eq!(headers.get("locale").unwrap(), "en");
    ///
    /// assert!(schema.merge([], &Sent::nothing(), &[]).is_err(), "a required header is missing");
    /// ```
    ///
    /// # Errors
    /// Lists every fault: what is missing, what was stored and no longer fits, and what does not go together.
    pub fn merge<'a>(
        &self,
        stored: impl IntoIterator<Item = (&'a str, &'a Value)>,
        sent: &Sent,
        requires: &[Arc<str>],
    ) -> Result<Headers, Vec<Fault>> {
        let mut slots: Vec<Slot> = vec![(None, Origin::Absent); self.fields().len()];
        for (name, value) in stored {
            if let Some(slot) = self.position(name).and_then(|at| slots.get_mut(at)) {
                *slot = (Some(value.clone()), Origin::Stored);
            }
        }
        for (at, sent) in sent.iter() {
            if let Some(slot) = slots.get_mut(at) {
                *slot = match sent {
                    SentValue::Value(value) => (Some(value.clone()), Origin::Sent),
                    SentValue::Cleared => (None, Origin::Absent),
                };
            }
        }
        let needed: Vec<usize> = requires.iter().filter_map(|name| self.position(name)).collect();
        let mut faults = Vec::new();
        for (at, (field, slot)) in self.fields().iter().zip(&mut slots).enumerate() {
            if let (None, Some(default)) = (&slot.0, &field.default) {
                *slot = (Some(default.clone()), Origin::Default);
            }
            match slot {
                // What was sent has been checked when it was read.
                (Some(value), Origin::Stored) => {
                    if let Err(expected) = field.check(value) {
                        let detail = format!("{expected}: the stored value no longer fits, send it again");
                        faults.push(Fault::header(field.name.to_string(), Code::InvalidHeader, detail));
                    }
                }
                (None, _) if field.required || needed.contains(&at) => {
                    let detail = "required, and neither sent nor stored";
                    faults.push(Fault::header(field.name.to_string(), Code::MissingHeader, detail));
                }
                _ => {}
            }
        }
        self.check_together(&slots, &mut faults);
        if faults.is_empty() { Ok(Headers::new(self.clone(), slots)) } else { Err(faults) }
    }

    /// Checks the keywords that span several fields. A field that has a fault already gets no second one.
    fn check_together(&self, slots: &[Slot], faults: &mut Vec<Fault>) {
        let Some(validator) = &self.0.whole else { return };
        let present = self.fields().iter().zip(slots);
        let whole: serde_json::Map<_, _> =
            present.filter_map(|(field, (value, _))| Some((field.name.to_string(), value.clone()?))).collect();
        let alone = faults.is_empty();
        for error in validator.iter_errors(&Value::Object(whole)) {
            if let Some(missing) = expected::missing_property(&error) {
                if !faults.iter().any(|fault| fault.place == Place::Header(missing.clone().into())) {
                    let detail = "required together with the other headers, and neither sent nor stored";
                    faults.push(Fault::header(missing, Code::MissingHeader, detail));
                }
            } else if alone {
                // With other faults about, a combination that does not fit may be no more than their shadow.
                faults.push(self.fault_of(&error));
            }
        }
    }

    fn fault_of(&self, error: &jsonschema::ValidationError<'_>) -> Fault {
        let path = error.instance_path().to_string();
        let name = path.split('/').nth(1).unwrap_or_default().replace("~1", "/").replace("~0", "~");
        match self.field(&name) {
            Some(field) => {
                let expected = expected::sentence(error, field.is_secret(), 1);
                Fault::header(field.name.to_string(), Code::InvalidHeader, format!("expected {expected}"))
            }
            None => {
                let detail = format!("together they do not meet `{}` of their declaration", error.kind().keyword());
                Fault::header("headers", Code::InvalidHeader, detail)
            }
        }
    }
}
