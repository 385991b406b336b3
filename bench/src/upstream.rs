//! The mock upstream: an OpenAI-compatible endpoint that answers at once from pre-rendered bytes and checks nothing; an API
//! for context variables, which takes its time; and what tools reach, which does not.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use tokio::net::TcpListener;

use crate::variables::API_DELAY;
use crate::{answers, outside, serve};

/// What the API says, whatever it is asked.
const CONTEXT: &str = r#"{"name":"Ada Okafor","team":"pumps","preferences":{"tone":"formal","locale":"en-GB"}}"#;

struct Prepared {
    document: Bytes,
    frames: Arc<[Bytes]>,
    gap: Duration,
}

/// Serves every path until the process is ended; streamed chunks are `gap` apart.
///
/// Even with no gap each chunk is handed to the kernel by itself, as models send them: a proxy sees them arrive
/// separately when it is quick, and several at once when it is not.
///
/// # Errors
/// When nothing can be said on stderr.
pub(crate) async fn run(listener: TcpListener, gap: Duration) -> Result<()> {
    let prepared = Arc::new(Prepared { document: answers::document(), frames: answers::frames().into(), gap });
    serve::serve(
        listener,
        service_fn(move |request: Request<Incoming>| {
            let prepared = Arc::clone(&prepared);
            async move { answer(request, &prepared).await }
        }),
    )
    .await
}

async fn answer(
    request: Request<Incoming>,
    prepared: &Prepared,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, hyper::Error> {
    let path = request.uri().path();
    let (is_context, is_tool, is_mcp) = (path.starts_with("/context/"), path.starts_with("/orders/"), path == "/mcp");
    let question = request.into_body().collect().await?.to_bytes();
    let (content_type, body) = if is_context {
        tokio::time::sleep(API_DELAY).await;
        ("application/json", Full::new(Bytes::from_static(CONTEXT.as_bytes())).boxed_unsync())
    } else if is_tool {
        ("application/json", Full::new(Bytes::from_static(outside::ORDER.as_bytes())).boxed_unsync())
    } else if is_mcp {
        ("application/json", Full::new(outside::mcp(&question)).boxed_unsync())
    } else if let Some(call) = outside::call(&question) {
        ("application/json", Full::new(call).boxed_unsync())
    } else if wants_stream(&question) {
        ("text/event-stream", chunks(Arc::clone(&prepared.frames), prepared.gap))
    } else {
        ("application/json", Full::new(prepared.document.clone()).boxed_unsync())
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

/// A body that gives way between its frames, so that each is flushed.
fn chunks(frames: Arc<[Bytes]>, gap: Duration) -> UnsyncBoxBody<Bytes, Infallible> {
    let frames = stream::unfold(0, move |n| {
        let frames = Arc::clone(&frames);
        async move {
            let frame = frames.get(n)?.clone();
            if n > 0 {
                if gap.is_zero() {
                    tokio::task::yield_now().await;
                } else {
                    tokio::time::sleep(gap).await;
                }
            }
            Some((Ok(Frame::data(frame)), n + 1))
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

/// Looks for `"stream":true` without parsing. The key cannot occur unescaped inside a JSON string.
fn wants_stream(question: &[u8]) -> bool {
    let text = std::str::from_utf8(question).unwrap_or_default();
    text.split_once(r#""stream""#).is_some_and(|(_, rest)| {
        let value = rest.trim_start().trim_start_matches(':').trim_start();
        value.starts_with("true")
    })
}

#[cfg(test)]
mod tests {
    use super::wants_stream;

    #[test]
    fn the_request_says_whether_to_stream() {
        assert!(wants_stream(br#"{"messages":[],"stream":true}"#));
        assert!(wants_stream(br#"{"stream" : true,"stream_options":{}}"#));
        assert!(!wants_stream(br#"{"messages":[],"stream":false}"#));
        assert!(!wants_stream(br#"{"messages":[{"content":"say \"stream\":true"}]}"#));
        assert!(!wants_stream(b"{}"));
    }
}
