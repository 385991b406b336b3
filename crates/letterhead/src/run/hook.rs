//! Hooks: functions of the program that are told what happens in runs, and cannot change it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{io, thread};

use letterhead_context::RequestContext;
use tokio::sync::{mpsc, oneshot};

use super::event::RunEvent;

/// How many events may wait for a hook. What happens while so many wait, the hook is not told.
const EVENTS_AHEAD: usize = 4096;

type Function = Box<dyn FnMut(&RequestContext, &RunEvent) + Send>;

/// A hook that is not told anything yet.
pub(super) struct NewHook(Function);

impl NewHook {
    pub(super) fn new(function: impl FnMut(&RequestContext, &RunEvent) + Send + 'static) -> Self {
        Self(Box::new(function))
    }
}

impl fmt::Debug for NewHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook(…)")
    }
}

/// What a hook's thread is sent.
enum Told {
    Happened(RequestContext, RunEvent),
    /// All that was sent before has been told, once this is answered.
    Asked(oneshot::Sender<()>),
}

/// The hooks of a runner. Each has a thread of its own, so that one that is slow, blocks or panics holds up no run and no
/// other hook. The thread ends when its runner is gone and it has been told everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Hooks(Arc<[Hook]>);

#[derive(Debug)]
struct Hook {
    to: mpsc::Sender<Told>,
    /// Events for which there was no room.
    missed: Arc<AtomicU64>,
}

impl Hooks {
    pub(super) fn start(hooks: Vec<NewHook>) -> io::Result<Self> {
        hooks.into_iter().map(Hook::start).collect::<io::Result<Vec<_>>>().map(|hooks| Self(hooks.into()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends an event to each, and waits for none.
    pub(super) fn tell(&self, context: &RequestContext, event: &RunEvent) {
        for hook in &*self.0 {
            if hook.to.try_send(Told::Happened(context.clone(), event.clone())).is_err() {
                hook.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits until all have been told of everything until now.
    pub(super) async fn caught_up(&self) {
        for hook in &*self.0 {
            let (asked, answered) = oneshot::channel();
            if hook.to.send(Told::Asked(asked)).await.is_ok() {
                let _ = answered.await;
            }
        }
    }
}

impl Hook {
    fn start(NewHook(mut function): NewHook) -> io::Result<Self> {
        let (to, mut from) = mpsc::channel(EVENTS_AHEAD);
        let missed = Arc::new(AtomicU64::new(0));
        let unseen = Arc::clone(&missed);
        thread::Builder::new().name("letterhead-hook".to_owned()).spawn(move || {
            while let Some(told) = from.blocking_recv() {
                match told {
                    Told::Happened(context, event) => {
                        if catch_unwind(AssertUnwindSafe(|| function(&context, &event))).is_err() {
                            tracing::error!("a hook panicked; it will be told of what happens next all the same");
                        }
                    }
                    Told::Asked(asked) => {
                        let _ = asked.send(());
                    }
                }
                match unseen.swap(0, Ordering::Relaxed) {
                    0 => {}
                    events => tracing::warn!(events, "a hook was too slow, and was not told of some events"),
                }
            }
        })?;
        Ok(Self { to, missed })
    }
}
