//! `POST /v1/responses`: not served yet, and says what to use.

use letterhead_context::{Code, Problem};

use crate::arrival::Reading;
use crate::error::Failure;

/// Names the endpoint that is there.
pub async fn planned(reading: Reading) -> Failure {
    let detail = "the Responses API is not served yet: use `POST /v1/chat/completions` (in OpenAI's SDKs \
                  `client.chat.completions.create`)";
    reading.failure(Problem::new(Code::NotFound, detail))
}
