//! Statements that are sent one behind the other, before the first answer is there.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio_postgres::Error;

use super::fault::Fault;

/// A statement that is sent when it is polled for the first time.
pub(super) type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

pub(super) fn always<'a, T>(statement: impl Future<Output = Result<T, Error>> + Send + 'a) -> Sending<'a> {
    only_if(true, statement)
}

/// A statement that is left out where it has nothing to do.
pub(super) fn only_if<'a, T>(
    condition: bool,
    statement: impl Future<Output = Result<T, Error>> + Send + 'a,
) -> Sending<'a> {
    Box::pin(async move { if condition { statement.await.map(drop) } else { Ok(()) } })
}

/// Sends statements in their order, and takes their answers. The first that failed is the fault: those behind it fail
/// because of it.
///
/// Of a transaction, the last of them is its end. The library takes for a commit what the database has answered with
/// ROLLBACK; but the database does so only where a statement before it has failed, and each of them is looked at here.
pub(super) async fn in_order<const N: usize>(statements: [Sending<'_>; N]) -> Result<(), Fault> {
    let mut sent = statements.map(|statement| (statement, None));
    poll_fn(|context| {
        let mut is_done = true;
        for (statement, answer) in &mut sent {
            if answer.is_none() {
                match statement.as_mut().poll(context) {
                    Poll::Ready(answered) => *answer = Some(answered),
                    Poll::Pending => is_done = false,
                }
            }
        }
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    for (_, answer) in sent {
        answer.unwrap_or(Ok(()))?;
    }
    Ok(())
}
