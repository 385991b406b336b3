//! The adapters against a scripted provider, over real connections.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic as tests do")]

mod faults;
mod secrets;
mod stream;
mod support;
mod wire;
