//! Scripted upstreams for the tests of Letterhead, whose ideas are on the front page of the crate `letterhead`.
//!
//! [`ScriptedLlm`] and [`ScriptedApi`] are HTTP servers on loopback that answer as they were told and keep every request as
//! it came over the wire. They write HTTP/1.1 by hand, because tests want to break it in all the places where real
//! upstreams break: before the head, in the middle of a body, between two bytes of a character.
//!
//! ```
//! use letterhead_testkit::{Answer, Reply, ScriptedLlm};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let llm = ScriptedLlm::start().await;
//! llm.then(Answer::status(429).header("retry-after", "1")) // the first call is refused
//!     .then(Reply::text("Hello there.").usage(12, 3)); // the second is answered, as its protocol wants it
//! # });
//! ```

#![expect(clippy::expect_used, clippy::panic, reason = "a test kit panics: that is how a test fails")]

pub mod agent;
mod answer;
mod anthropic;
mod api;
mod gzip;
mod llm;
mod openai;
#[cfg(unix)]
mod postgres;
mod reply;
mod server;
mod token_endpoint;
mod wire;

pub use agent::{A2a, ScriptedAgent};
pub use answer::{Answer, Gate, Tap};
pub use api::{Route, ScriptedApi};
pub use llm::ScriptedLlm;
#[cfg(unix)]
pub use postgres::{Postgres, Stop, Tls};
pub use reply::{Reply, Script};
pub use token_endpoint::{Exchange, ScriptedTokens};
pub use wire::Recorded;
