//! Whether the store answers, asked once however many want to know: `/ready` is open to everybody.

use std::future::Future;
use std::time::Duration;

use letterhead_context::Problem;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long it holds that the store answered. That it did not holds only for those who waited for that answer: a store that
/// is back is ready at once.
const HOLDS: Duration = Duration::from_secs(1);

/// What the store answered last.
#[derive(Debug, Default)]
pub struct Readiness {
    last: Mutex<Option<Told>>,
}

#[derive(Clone, Debug)]
struct Told {
    at: Instant,
    answer: Result<(), Problem>,
}

impl Readiness {
    /// The store's answer, a good one at most a second old. Who comes while it is asked waits for the same answer, so that
    /// it is never asked twice at a time.
    ///
    /// # Errors
    ///
    /// What keeps the store from working.
    pub async fn ask(&self, store: impl Future<Output = Result<(), Problem>>) -> Result<(), Problem> {
        let came = Instant::now();
        let mut last = self.last.lock().await;
        let holds = |told: &&Told| told.at > came || (told.answer.is_ok() && told.at.elapsed() < HOLDS);
        if let Some(told) = last.as_ref().filter(holds) {
            return told.answer.clone();
        }
        let answer = store.await;
        *last = Some(Told { at: Instant::now(), answer: answer.clone() });
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use letterhead_context::Code;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_are_one_question_a_second() {
        let (readiness, asked) = (Readiness::default(), Cell::new(0));
        let slow = |answer: Result<(), Problem>| {
            let asked = &asked;
            async move {
                asked.set(asked.get() + 1);
                tokio::time::sleep(Duration::from_secs(3)).await;
                answer
            }
        };
        let away = || Err(Problem::new(Code::StoreUnavailable, "the store is away"));
        let (first, second) = tokio::join!(readiness.ask(slow(away())), readiness.ask(slow(Ok(()))));
        assert_eq!(asked.get(), 1, "one flight");
        assert!(first.is_err() && second.is_err());

        assert!(readiness.ask(slow(Ok(()))).await.is_ok(), "it is back");
        tokio::time::advance(Duration::from_millis(999)).await;
        assert!(readiness.ask(slow(away())).await.is_ok());
        assert_eq!(asked.get(), 2);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(readiness.ask(slow(away())).await.is_err());
        assert_eq!(asked.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_while_asking_leaves_the_question_to_the_next() {
        let readiness = Readiness::default();
        let left = tokio::time::timeout(HOLDS, readiness.ask(std::future::pending())).await;
        assert!(left.is_err());
        assert!(readiness.ask(async { Ok(()) }).await.is_ok());
    }
}
