//! Small writes that are no turns. Each is a function of the connection, whose result is told once it is durable.

use std::cell::Cell;

use rusqlite::Connection;

use super::job::{Job, Reply};
use crate::StoreError;

/// Something for the writer to do.
pub(super) trait Errand: Send {
    /// Does it. It may be done again, when the transaction has to be tried anew.
    fn run(&self, connection: &Connection) -> Result<(), StoreError>;

    /// Tells what came out, when that is durable, or why nothing did.
    fn tell(self: Box<Self>, done: Result<(), StoreError>);
}

struct Function<F, T> {
    function: F,
    found: Cell<Option<T>>,
    reply: Reply<T>,
}

/// The job of running this function.
pub(super) fn job<T: Send + 'static>(
    function: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    reply: Reply<T>,
) -> Job {
    Job::Errand(Box::new(Function { function, found: Cell::new(None), reply }))
}

impl<F, T> Errand for Function<F, T>
where
    F: Fn(&Connection) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&self, connection: &Connection) -> Result<(), StoreError> {
        self.found.set(Some((self.function)(connection)?));
        Ok(())
    }

    fn tell(self: Box<Self>, done: Result<(), StoreError>) {
        let Self { found, reply, .. } = *self;
        let broken_off = StoreError::Unavailable { reason: "the transaction was broken off".into() };
        // Nobody may be waiting for it any more.
        let _ = reply.send(done.and_then(|()| found.into_inner().ok_or(broken_off)));
    }
}
