//! Context variables: named values that an HTTP API gives before a model is called.
//!
//! A [`Variable`] says what is asked and what of the answer is the value. Templates read it by its name, as `user.name`.
//! It is fetched when something first needs it: the instructions or headers of an agent, a header of its provider, a
//! tool, or another variable. Those that do not need each other are fetched at the same time.

mod answer;
mod define;
mod fetch;
mod graph;
mod parts;
mod prepare;
mod preview;
mod recall;
mod select;
mod turn;

pub use define::{Variable, VariableBody, When};
pub use preview::PreviewRequest;

pub(crate) use answer::{Reading, schema_fault};
pub(crate) use fetch::{Fetching, FetchingParts};
pub(crate) use parts::{RequestParts, request_methods};
pub(crate) use prepare::{PreparedVariable, needed, prepare_variables, unknown};
pub(crate) use preview::{Look, look, shown_headers};
pub(crate) use select::Select;
pub(crate) use turn::{Asking, TurnVariables, Unavailable, reached_nobody};
