//! Statements that are sent one behind the other, before the first answer is there.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

use super::database::{BEGIN, COMMIT, begin_for};
use super::fault::Fault;

/// A value that a statement takes.
pub(super) type Param<'a> = &'a (dyn ToSql + Sync);

/// A statement that is sent when it is polled for the first time.
type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// A transaction of which nothing is read: one round trip.
pub(super) struct Writing<'a> {
    tenant: &'a str,
    statements: Vec<(&'static str, Vec<Param<'a>>)>,
}

impl<'a> Writing<'a> {
    /// An empty one. Row-level security shows it the rows of this tenant alone.
    pub(super) fn of(tenant: &'a str) -> Self {
        Self { tenant, statements: Vec::new() }
    }

    /// Adds a statement.
    pub(super) fn add(&mut self, statement: &'static str, params: &[Param<'a>]) {
        self.statements.push((statement, params.to_vec()));
    }

    /// Writes it, all or nothing. The first statement that failed is the fault: those behind it fail because of it.
    ///
    /// Of a transaction, the last of them is its end. The library takes for a commit what the database has answered with
    /// ROLLBACK; but the database does so only where a statement before it has failed, and each of them is looked at here.
    pub(super) async fn commit(self, client: &ClientWrapper) -> Result<(), Fault> {
        let mut statements = Vec::with_capacity(self.statements.len());
        for (statement, params) in self.statements {
            statements.push((client.prepare_cached(statement).await?, params));
        }
        let between = statements.iter().map(|(statement, params)| -> Sending<'_> {
            Box::pin(async move { client.execute(statement, params).await.map(drop) })
        });
        let begin = begin_for(BEGIN, self.tenant);
        let mut sent: Vec<Sending<'_>> = Vec::with_capacity(statements.len() + 2);
        sent.push(Box::pin(client.batch_execute(&begin)));
        sent.extend(between);
        sent.push(Box::pin(client.batch_execute(COMMIT)));
        in_order(sent).await
    }
}

/// Sends statements in their order, and takes their answers.
async fn in_order(statements: Vec<Sending<'_>>) -> Result<(), Fault> {
    let mut sent: Vec<_> = statements.into_iter().map(|statement| (statement, None)).collect();
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
