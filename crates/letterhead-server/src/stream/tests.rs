pub(crate) mod children;

use futures_util::StreamExt;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::turn::ClientHere;

const KEEP: Duration = Duration::from_secs(15);

/// Writes what it is told of as one word each.
struct Words;

impl Encoder for Words {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"begin ");
    }

    fn event(&mut self, _: &RunEvent, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event ");
    }

    fn end(&mut self, ended: &Ended, out: &mut Vec<u8>) {
        let word: &[u8] = if ended.problem.is_some() { b"error" } else { b"end" };
        out.extend_from_slice(word);
    }
}

/// A turn that has said so many pieces, and is being stored.
fn storing(pieces: usize) -> (Running, oneshot::Sender<Ended>) {
    let (sender, events) = mpsc::channel(8);
    for _ in 0..pieces {
        sender.try_send(RunEvent::Text("piece".to_owned())).unwrap();
    }
    let (announce, end) = oneshot::channel();
    let client = ClientHere::new(CancellationToken::new(), Duration::ZERO);
    (Running { session: None, turn: None, agent: "a".into(), events: Some(events), end, client }, announce)
}

pub(crate) fn ended(end: RunEnd) -> Ended {
    let mut ended = Ended::lost(&"a".into(), Problem::new(Code::Internal, "lost"));
    (ended.outcome.end, ended.problem) = (end, None);
    ended
}

async fn whole(response: Response) -> String {
    let pieces: Vec<_> = response.into_body().into_data_stream().map(|piece| piece.unwrap()).collect().await;
    String::from_utf8(pieces.concat()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_kept_alive_while_its_turn_is_stored() {
    for said in [0, 1] {
        let (running, announce) = storing(said);
        tokio::spawn(async move {
            tokio::time::sleep(KEEP * 5 / 2).await;
            let _ = announce.send(ended(RunEnd::Complete(letterhead::model::FinishReason::Stop)));
        });
        let text = whole(respond(running, Words, KEEP).await.unwrap()).await;
        let comments = text.matches(": keep-alive").count();
        // Where nothing was said, the head waits for as long as one comment line.
        assert_eq!(comments + usize::from(said == 0), 2, "{text}");
        assert!(text.starts_with("begin ") && text.ends_with("end"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_broken_off_does_not_end_as_if_it_were_whole() {
    let (running, announce) = storing(1);
    let _ = announce.send(ended(RunEnd::Cancelled));
    assert_eq!(whole(respond(running, Words, KEEP).await.unwrap()).await, "begin event error");
}

#[tokio::test(start_paused = true)]
async fn what_is_ready_goes_out_together_and_in_pieces_of_bounded_size() {
    /// Writes a page for each event.
    struct Pages;
    impl Encoder for Pages {
        fn begin(&mut self, _: &mut Vec<u8>) {}
        fn event(&mut self, _: &RunEvent, out: &mut Vec<u8>) {
            out.extend_from_slice(&[b'.'; 40 * 1024]);
        }
        fn end(&mut self, _: &Ended, _: &mut Vec<u8>) {}
    }
    let (running, announce) = storing(8);
    let _ = announce.send(ended(RunEnd::Complete(letterhead::model::FinishReason::Stop)));
    let body = respond(running, Pages, KEEP).await.unwrap().into_body();
    let sizes: Vec<_> = body.into_data_stream().map(|piece| piece.unwrap().len() / 1024).collect().await;
    // The head waited for the first one.
    assert_eq!(sizes, [40, 80, 80, 80, 40, 0]);
}
