//! Streams: what happens to a task, as it happens.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use letterhead_context::{Code, Problem, SessionId};
use letterhead_store::{Owner, TurnId};

use super::answer::{Fault, respond};
use super::followers::Follower;
use super::live::Reader;
use super::stored;
use super::task::{Event, State, Task};
use crate::app::App;
use crate::arrival::Reading;
use crate::json_rpc::{Id, ResultMessage};
use crate::session_header::say_session;
use crate::stream::{self, ENOUGH, data_frame, event_stream};

/// How often the store is asked of a task that runs on another server.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A task that has ended: whole, or as a stream of one event.
pub(super) fn past(id: &Id, task: &Task, session: Option<&SessionId>, streaming: bool) -> Response {
    if streaming {
        return event_stream(Body::from(frame(id, &Event::Task(task))), session);
    }
    let mut response = respond(id, &Event::Task(task));
    say_session(session, response.headers_mut());
    response
}

fn frame(id: &Id, event: &Event<'_>) -> Vec<u8> {
    let mut frame = Vec::with_capacity(512);
    data_frame(&ResultMessage::new(id, event), &mut frame);
    frame
}

/// The task as it was when its reader began, and what the reader reads, until the task ends or waits.
pub(super) fn live(app: &App, id: Id, session: &SessionId, task: &Task, reader: Reader) -> Response {
    let first = frame(&id, &Event::Task(task));
    let keep_alive = app.timing.keep_alive;
    let frames = unfold(Some(Following { id, reader, first: Some(first) }), move |state| async move {
        let mut following = state?;
        let (frame, is_over) = following.next(keep_alive).await;
        Some((Ok::<_, Infallible>(Bytes::from(frame)), (!is_over).then_some(following)))
    });
    event_stream(Body::from_stream(frames), Some(session))
}

struct Following {
    id: Id,
    reader: Reader,
    first: Option<Vec<u8>>,
}

impl Following {
    /// What is ready, as one piece and not much more than [`ENOUGH`] of it; and whether that was the end.
    async fn next(&mut self, keep_alive: Duration) -> (Vec<u8>, bool) {
        if let Some(first) = self.first.take() {
            return (first, false);
        }
        if tokio::time::timeout(keep_alive, self.reader.wait()).await.is_err() {
            return (stream::KEEP_ALIVE.to_vec(), false);
        }
        let mut frames = Vec::new();
        let is_over = self.reader.read(|event| {
            data_frame(&ResultMessage::new(&self.id, event), &mut frames);
            if frames.len() < ENOUGH { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        (frames, is_over)
    }
}

/// The same of a task that runs on another server, or was begun in another protocol: the store is asked again and again.
pub(super) fn elsewhere(
    app: &Arc<App>,
    id: Id,
    reading: &Reading,
    turn: TurnId,
    task: &Task,
    follower: Follower,
) -> Response {
    let session = SessionId::parse(&task.context_id).ok();
    let first = frame(&id, &Event::Task(task));
    let (owner, request_id) = (Owner::from(&reading.caller), reading.request_id.shared());
    let state = Looking { app: Arc::clone(app), id, owner, request_id, turn, first: Some(first), _follower: follower };
    let frames = unfold(Some(state), |state| async move {
        let mut looking = state?;
        let (frame, is_over) = looking.next().await;
        Some((Ok::<_, Infallible>(Bytes::from(frame)), (!is_over).then_some(looking)))
    });
    event_stream(Body::from_stream(frames), session.as_ref())
}

struct Looking {
    app: Arc<App>,
    id: Id,
    owner: Owner,
    request_id: Arc<str>,
    turn: TurnId,
    first: Option<Vec<u8>>,
    _follower: Follower,
}

impl Looking {
    async fn next(&mut self) -> (Vec<u8>, bool) {
        if let Some(first) = self.first.take() {
            return (first, false);
        }
        let closing = self.app.turns.closing.clone();
        let look = async {
            loop {
                tokio::time::sleep(LOOK_AGAIN).await;
                match stored::find(&self.app, &self.owner, self.turn).await {
                    Ok(Some(found)) if found.task.status.state == State::Working => {}
                    Ok(Some(found)) => return Ok(found.task),
                    Ok(None) => return Err(Fault::no_task()),
                    Err(problem) => return Err(Fault::of(problem, &self.request_id)),
                }
            }
        };
        let found = tokio::select! {
            biased;
            () = closing.cancelled() => {
                let problem = Problem::new(Code::ShuttingDown, "the server is shutting down; subscribe to the task again");
                Err(Fault::of(problem, &self.request_id))
            }
            found = tokio::time::timeout(self.app.timing.keep_alive, look) => match found {
                Ok(found) => found,
                Err(_) => return (stream::KEEP_ALIVE.to_vec(), false),
            }
        };
        let mut frames = Vec::new();
        match found {
            Ok(task) => {
                for artifact in task.artifacts.as_deref().unwrap_or_default() {
                    let piece = Event::piece(&task, artifact, artifact.text(), false);
                    data_frame(&ResultMessage::new(&self.id, &piece), &mut frames);
                }
                data_frame(&ResultMessage::new(&self.id, &Event::status(&task)), &mut frames);
            }
            Err(fault) => data_frame(&fault.message(&self.id), &mut frames),
        }
        (frames, true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::live::Live;
    use super::*;

    #[tokio::test]
    async fn who_reads_late_gets_what_is_ready_in_pieces_of_bounded_size() {
        let live = Live::written("word ", 10_000);
        let id = Id::Text("7".to_owned());
        let mut following = Following { id, reader: live.reader_of_all(), first: None };
        let (mut bodies, mut frames) = (0, 0);
        loop {
            let (body, is_over) = following.next(Duration::from_secs(60)).await;
            assert!(body.len() < ENOUGH + 1024, "{}", body.len());
            assert!(!body.is_empty());
            frames += body.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"data: ")).count();
            bodies += 1;
            if is_over {
                break;
            }
        }
        assert_eq!(frames, 10_001, "each piece once, and the end");
        assert!(bodies > 10, "{bodies}");
    }
}
