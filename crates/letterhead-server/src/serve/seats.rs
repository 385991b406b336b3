//! How many connections there are at a time. Each takes a file, and the calls out that answer it take others: with all of
//! them in the hands of clients, nobody would get an answer.
//!
//! Who comes when all seats are taken waits, with the others in the system's queue, until one is free; and who has sat for a
//! while is then told to leave, longest first: at once if there is nothing to answer, after the answer otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// How long nobody is told to leave: the time that a request takes to come.
const WELCOME: Duration = Duration::from_secs(2);

/// How long those who were told to leave have, before others are told too.
const ROUND: Duration = Duration::from_millis(50);

/// The most that are told to leave in a round.
const MOST_TOLD: usize = 64;

/// Seats for connections.
#[derive(Debug)]
pub(super) struct Seats {
    count: u32,
    free: Arc<Semaphore>,
    /// Wakes who has sat for longest.
    leave: Notify,
    /// Somebody waits.
    are_wanted: AtomicBool,
}

/// A seat of a connection, as long as it lasts.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    _taken: OwnedSemaphorePermit,
}

impl Seats {
    pub(super) fn new(count: u32) -> Arc<Self> {
        let count = count.max(1);
        let free = Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(usize::MAX)));
        Arc::new(Self { count, free, leave: Notify::new(), are_wanted: AtomicBool::new(false) })
    }

    /// A seat, if one is free.
    pub(super) fn take(self: &Arc<Self>) -> Option<Seat> {
        let taken = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Seat { seats: Arc::clone(self), _taken: taken })
    }

    /// A seat, as soon as one is free. One at a time may wait.
    pub(super) async fn wait(self: &Arc<Self>) -> Seat {
        self.are_wanted.store(true, Ordering::Relaxed);
        let mut told = 1;
        let taken = loop {
            (0..told).for_each(|_| self.leave.notify_one());
            if let Ok(Ok(taken)) = timeout(ROUND, Arc::clone(&self.free).acquire_owned()).await {
                break taken;
            }
            told = MOST_TOLD.min(told * 2);
        };
        self.are_wanted.store(false, Ordering::Relaxed);
        Seat { seats: Arc::clone(self), _taken: taken }
    }

    /// Waits until all are free.
    pub(super) async fn empty(&self) {
        // Nobody closes it.
        let _ = self.free.acquire_many(self.count).await;
    }
}

impl Seat {
    /// Waits until somebody else needs it.
    pub(super) async fn is_wanted(&self) {
        sleep(WELCOME).await;
        loop {
            self.seats.leave.notified().await;
            // It may have been said when nobody was there to hear it, and be long past.
            if self.seats.are_wanted.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    /// Sits until somebody else needs the seat, and writes down who leaves.
    fn sit(seat: Seat, name: &'static str, left: &Arc<Mutex<Vec<&'static str>>>) {
        let left = Arc::clone(left);
        tokio::spawn(async move {
            seat.is_wanted().await;
            left.lock().unwrap().push(name);
        });
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_when_all_are_taken_waits_for_the_next_that_is_free() {
        let seats = Seats::new(2);
        let (first, _second) = (seats.take().unwrap(), seats.take().unwrap());
        assert!(seats.take().is_none());
        assert!(timeout(WELCOME * 10, seats.wait()).await.is_err(), "nobody left");
        drop(first);
        timeout(ROUND, seats.wait()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_sat_for_longest_leaves_and_nobody_at_once() {
        let (seats, left) = (Seats::new(3), Arc::default());
        for name in ["first", "second", "third"] {
            sit(seats.take().unwrap(), name, &left);
            sleep(Duration::from_millis(500)).await;
        }
        let began = Instant::now();
        let _fourth = seats.wait().await;
        assert_eq!(*left.lock().unwrap(), ["first"]);
        assert!(began.elapsed() >= Duration::from_millis(500) && began.elapsed() < Duration::from_millis(600));
        // Long after, and nobody waits.
        sleep(WELCOME * 10).await;
        let _fifth = seats.wait().await;
        assert_eq!(*left.lock().unwrap(), ["first", "second"]);
        let _sixth = seats.wait().await;
        assert_eq!(left.lock().unwrap().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_said_to_nobody_sends_nobody_away() {
        let (seats, left) = (Seats::new(2), Arc::default());
        let (first, second) = (seats.take().unwrap(), seats.take().unwrap());
        assert!(timeout(WELCOME, seats.wait()).await.is_err(), "nobody listened");
        seats.are_wanted.store(false, Ordering::Relaxed);
        drop(first);
        sit(second, "second", &left);
        sleep(WELCOME * 10).await;
        assert!(left.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_cannot_leave_do_not_hide_those_who_can() {
        let (seats, left) = (Seats::new(200), Arc::default());
        // They answer, and go on with it.
        for seat in (0..199).map(|_| seats.take().unwrap()) {
            tokio::spawn(async move {
                seat.is_wanted().await;
                std::future::pending::<()>().await;
            });
        }
        sleep(Duration::from_millis(1)).await;
        sit(seats.take().unwrap(), "silent", &left);
        sleep(WELCOME).await;
        timeout(Duration::from_secs(1), seats.wait()).await.unwrap();
        assert_eq!(*left.lock().unwrap(), ["silent"]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_empty_when_all_have_left() {
        let seats = Seats::new(2);
        let first = seats.take().unwrap();
        assert!(timeout(ROUND, seats.empty()).await.is_err());
        drop(first);
        timeout(ROUND, seats.empty()).await.unwrap();
        timeout(ROUND, seats.empty()).await.unwrap();
    }
}
