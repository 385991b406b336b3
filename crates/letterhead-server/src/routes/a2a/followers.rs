//! How many may follow one task at the same time: each of them holds a connection, and asks the store again and again where the
//! task runs elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use letterhead_context::{Code, Problem};
use letterhead_store::TurnId;

/// The most of one task. Who has sent the message that it works on is not counted.
const MOST: usize = 32;

/// When to try again: nobody knows when one of them leaves.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Who follows which task.
#[derive(Default)]
pub(super) struct Followers(Mutex<HashMap<TurnId, Weak<()>>>);

/// A place among those that follow a task, held as long as this is there.
pub(super) struct Follower {
    _place: Arc<()>,
}

impl Followers {
    /// Takes a place.
    ///
    /// # Errors
    ///
    /// 429 where all of them are taken.
    pub(super) fn join(&self, task: TurnId) -> Result<Follower, Problem> {
        let mut followed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        followed.retain(|_, place| place.strong_count() > 0);
        let place = followed.get(&task).and_then(Weak::upgrade).unwrap_or_default();
        // This one is among them.
        if Arc::strong_count(&place) > MOST {
            let detail = format!(
                "{MOST} subscriptions follow this task already, and no more may at a time; end one of them, or ask for the task \
                 with `GetTask`"
            );
            return Err(Problem::new(Code::RateLimited, detail).with_retry_after(TRY_AGAIN));
        }
        followed.insert(task, Arc::downgrade(&place));
        Ok(Follower { _place: place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_makes_room_and_an_unfollowed_task_is_forgotten() {
        let ids = ["01a20423-e7b8-7000-b54a-ded5ae9e2f49", "01a20423-e7b8-7000-b54a-ded5ae9e2f4a"];
        let [task, other] = ids.map(|id| TurnId::parse(id).unwrap());
        let followers = Followers::default();
        let mut following: Vec<_> = (0..MOST).map(|_| followers.join(task).ok().unwrap()).collect();
        assert_eq!(followers.join(task).err().unwrap().code(), Code::RateLimited);
        let elsewhere = followers.join(other).ok().unwrap();
        following.pop();
        following.push(followers.join(task).ok().unwrap());
        assert!(followers.join(task).is_err());
        drop(following);
        drop(followers.join(other));
        assert_eq!(followers.0.lock().unwrap().keys().collect::<Vec<_>>(), [&other]);
        drop(elsewhere);
    }
}
