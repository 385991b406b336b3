//! The guarded client against small servers on loopback, over real connections.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod bounds;
mod ends;
mod names;
mod places;
mod redirects;
mod streams;
mod support;
mod wire;
