//! Scripted upstreams for the tests of Letterhead.
//!
//! [`ScriptedLlm`] is an HTTP server on loopback that answers as it was told, call by call, and keeps every request as it
//! came over the wire. It writes HTTP/1.1 by hand, because tests want to break it in all the places where real
//! providers break: before the head, in the middle of a body, between two bytes of a character.
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

#![expect(clippy::expect_used, reason = "a test kit panics: that is how a test fails")]

mod answer;
mod anthropic;
mod llm;
mod openai;
mod reply;
mod wire;

pub use answer::{Answer, Tap};
pub use llm::ScriptedLlm;
pub use reply::{Reply, Script};
pub use wire::Recorded;
