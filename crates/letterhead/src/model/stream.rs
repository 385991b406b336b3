//! From an answer's bytes to its events, for any protocol.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use http::header::CONTENT_TYPE;

use super::error::{ModelError, known_code};
use super::json::{self, Raw};
use super::sse::{Event, Parser};
use super::{ModelEvent, ModelStream};
use crate::outbound::{Answer, AnswerBody};

/// The most bytes of an answer that is not streamed.
const WHOLE_LIMIT: usize = 32 * 1024 * 1024;
/// The most bytes of a streamed answer.
const STREAM_LIMIT: usize = 256 * 1024 * 1024;
/// The most bytes of an error that are read, to find its code.
const ERROR_LIMIT: usize = 64 * 1024;

/// The events so far that nobody has taken yet.
pub(crate) type Ready = VecDeque<ModelEvent>;

/// One protocol's way of saying things. Lives for one answer.
pub(crate) trait Decoder: Send + Unpin + 'static {
    /// Reads one event of a stream. `Break` if the answer is complete.
    fn event(&mut self, event: Event<'_>, ready: &mut Ready) -> Result<ControlFlow<()>, ModelError>;

    /// Reads an answer that came in one piece.
    fn whole(&mut self, body: &[u8], ready: &mut Ready) -> Result<(), ModelError>;

    /// Nothing more will come: gives usage and finish, or says that the answer is incomplete.
    fn end(&mut self, ready: &mut Ready) -> Result<(), ModelError>;
}

/// Reads an answer of either form, by what it says that it is: providers do not always do as they are asked.
pub(crate) async fn read(answer: Answer, mut decoder: impl Decoder, streamed: bool) -> Result<ModelStream, ModelError> {
    if !answer.status.is_success() {
        return Err(refusal(answer).await);
    }
    let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let streamed = match media_type.as_str() {
        "text/event-stream" => true,
        "application/json" => false,
        "text/html" => return Err(ModelError::malformed("it is a web page; check the provider's `base_url`")),
        _ => streamed,
    };
    if streamed {
        return Ok(Box::pin(EventStream::new(answer.body, decoder)));
    }
    let body = answer.body.read(WHOLE_LIMIT).await?;
    let mut ready = Ready::new();
    decoder.whole(&body, &mut ready)?;
    decoder.end(&mut ready)?;
    Ok(Box::pin(futures_util::stream::iter(ready.into_iter().map(Ok))))
}

/// The error for an answer that is none. Of its body only a known code is used.
async fn refusal(answer: Answer) -> ModelError {
    let (status, retried, retry_after) = (answer.status.as_u16(), answer.retried, answer.retry_after());
    let body = answer.body.read(ERROR_LIMIT).await.unwrap_or_default();
    let code = serde_json::from_slice::<Envelope<'_>>(&body).ok().and_then(|envelope| code_of(envelope.error));
    ModelError::from_status(status, code, retry_after).with_retried(retried)
}

/// The error that a provider reports inside an answer which began well.
pub(crate) fn reported(error: Raw<'_>) -> ModelError {
    let number = json::object::<Reported<'_>>(error).and_then(|reported| json::count(reported.code));
    match (code_of(error), number.and_then(|number| u16::try_from(number).ok())) {
        (Some(code), _) => ModelError::from_code(code),
        (None, Some(status @ 400..=599)) => ModelError::from_status(status, None, None),
        (None, _) => ModelError::failed_inside(),
    }
}

fn code_of(error: Raw<'_>) -> Option<&'static str> {
    let reported: Reported<'_> = json::object(error)?;
    [reported.code, reported.kind].into_iter().find_map(|field| known_code(&json::string(field)?))
}

#[derive(serde::Deserialize)]
struct Envelope<'a> {
    #[serde(default, borrow)]
    error: Raw<'a>,
}

#[derive(serde::Deserialize)]
struct Reported<'a> {
    #[serde(default, borrow)]
    code: Raw<'a>,
    #[serde(default, borrow, rename = "type")]
    kind: Raw<'a>,
}

struct EventStream<D> {
    /// None once the answer is over, well or not.
    body: Option<AnswerBody>,
    parser: Parser,
    decoder: D,
    ready: Ready,
    /// Given after everything that is ready.
    failure: Option<ModelError>,
    received: usize,
    any: bool,
}

impl<D: Decoder> EventStream<D> {
    fn new(body: AnswerBody, decoder: D) -> Self {
        Self {
            body: Some(body),
            parser: Parser::default(),
            decoder,
            ready: Ready::new(),
            failure: None,
            received: 0,
            any: false,
        }
    }

    /// Takes the next bytes, or with none the end of the body.
    fn take(&mut self, bytes: Option<&[u8]>) {
        let Self { parser, decoder, ready, any, .. } = self;
        let mut outcome = Ok(ControlFlow::Continue(()));
        let on_event = |event: Event<'_>| {
            *any = true;
            if matches!(outcome, Ok(ControlFlow::Continue(()))) {
                outcome = decoder.event(event, ready);
            }
        };
        match bytes {
            Some(bytes) => {
                if parser.feed(bytes, on_event).is_err() {
                    outcome = Err(ModelError::malformed("one of its events is too large"));
                }
            }
            None => parser.finish(on_event),
        }
        self.received = self.received.saturating_add(bytes.map_or(0, <[u8]>::len));
        match (outcome, bytes) {
            (Ok(ControlFlow::Continue(())), Some(_)) if self.received <= STREAM_LIMIT => {}
            (Ok(ControlFlow::Continue(())), Some(_)) => self.fail(ModelError::malformed("it is too large")),
            (Ok(ControlFlow::Break(())), _) => self.complete(),
            (Ok(ControlFlow::Continue(())), None) if !self.any => {
                self.fail(ModelError::malformed("it holds no events"));
            }
            (Ok(ControlFlow::Continue(())), None) => self.complete(),
            // The last event may have been cut off.
            (Err(_), None) => self.break_off(ModelError::broke_off()),
            (Err(error), Some(_)) => self.fail(error),
        }
    }

    fn complete(&mut self) {
        match self.decoder.end(&mut self.ready) {
            Ok(()) => {
                if let Some(body) = self.body.take() {
                    body.release();
                }
            }
            Err(error) => self.fail(error),
        }
    }

    /// The connection failed. If the provider had given its reason to finish, the answer is whole all the same.
    fn break_off(&mut self, error: ModelError) {
        match self.decoder.end(&mut self.ready) {
            Ok(()) => self.body = None,
            Err(_) => self.fail(error),
        }
    }

    fn fail(&mut self, error: ModelError) {
        self.body = None;
        self.failure = Some(error);
    }
}

impl<D: Decoder> Stream for EventStream<D> {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            let Some(body) = this.body.as_mut() else {
                return Poll::Ready(this.failure.take().map(Err));
            };
            match ready!(Pin::new(body).poll_next(cx)) {
                Some(Ok(bytes)) => this.take(Some(&bytes)),
                Some(Err(fault)) => this.break_off(fault.into()),
                None => this.take(None),
            }
        }
    }
}
