//! Limits per caller: how many turns it may begin in a minute, and how many of them may run at the same time.
//!
//! A limit belongs to the caller alone, as it was authenticated: nothing else that a request says changes whose it is. They are
//! counted in this process. Several nodes count each for itself, so that together they let through as many times more.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use letterhead_context::{Caller, Code, Problem, TenantId, UserId};

use crate::config::limits::Limits;

/// After how many turns the callers are forgotten that have been quiet.
const TIDY_AFTER: u32 = 4096;

/// When a caller may try again whose turns are all running: nobody knows when one ends.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A user of a tenant; none is everybody of the tenant who has no name.
type User = (TenantId, Option<UserId>);

/// Who may begin how many turns.
pub struct CallerLimits {
    users: Scope<User>,
    tenants: Scope<TenantId>,
    begun: AtomicU32,
}

/// The limits of one kind of key.
struct Scope<K: Clone + Eq + Hash> {
    name: &'static str,
    per_minute: Option<(NonZeroU32, Limiter<K>)>,
    at_once: Option<(NonZeroU32, Arc<Running<K>>)>,
}

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, RunningTime, NoOpMiddleware<Instant>>;

/// How many turns of each key run.
type Running<K> = Mutex<HashMap<K, u32>>;

/// The time as the runtime tells it, which tests can stop.
#[derive(Clone, Copy, Debug, Default)]
struct RunningTime;

impl Clock for RunningTime {
    type Instant = Instant;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// The right to a turn, held as long as it runs.
#[derive(Debug, Default)]
pub struct Permit {
    _user: Option<Held<User>>,
    _tenant: Option<Held<TenantId>>,
}

/// One of the turns that run at the same time.
struct Held<K: Eq + Hash> {
    key: K,
    running: Arc<Running<K>>,
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached {
    /// Whose: `user` or `tenant`.
    scope: &'static str,
    limit: NonZeroU32,
    kind: Kind,
    wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    PerMinute,
    AtOnce,
}

impl CallerLimits {
    /// The limits of a configuration.
    pub fn new(limits: &Limits) -> Self {
        let (per_minute, at_once) = (limits.requests_per_minute, limits.concurrent_turns);
        Self {
            users: Scope::new("user", per_minute.user, at_once.user),
            tenants: Scope::new("tenant", per_minute.tenant, at_once.tenant),
            begun: AtomicU32::new(0),
        }
    }

    /// Gives a turn its place among those that run at the same time. It costs nothing: a turn that is refused for another
    /// reason leaves it again.
    ///
    /// # Errors
    ///
    /// The limit that is reached: the user's own, or else the tenant's.
    pub fn hold(&self, caller: &Caller) -> Result<Permit, LimitReached> {
        if self.users.at_once.is_none() && self.tenants.at_once.is_none() {
            return Ok(Permit::default());
        }
        let tenant = caller.tenant();
        let user = (tenant.clone(), caller.user().cloned());
        Ok(Permit { _user: self.users.hold(&user)?, _tenant: self.tenants.hold(tenant)? })
    }

    /// Counts a turn that begins now. To be asked last, when nothing else can refuse it.
    ///
    /// # Errors
    ///
    /// The limit that is reached. A user's own comes first, so that one user's rush is no charge to the tenant.
    pub fn charge(&self, caller: &Caller) -> Result<(), LimitReached> {
        if self.users.per_minute.is_none() && self.tenants.per_minute.is_none() {
            return Ok(());
        }
        if self.begun.fetch_add(1, Ordering::Relaxed) % TIDY_AFTER == TIDY_AFTER - 1 {
            self.users.tidy();
            self.tenants.tidy();
        }
        let tenant = caller.tenant();
        self.users.charge(&(tenant.clone(), caller.user().cloned()))?;
        self.tenants.charge(tenant)
    }
}

impl<K: Clone + Eq + Hash> Scope<K> {
    fn new(name: &'static str, per_minute: Option<NonZeroU32>, at_once: Option<NonZeroU32>) -> Self {
        let limiter = |limit| RateLimiter::new(Quota::per_minute(limit), HashMapStateStore::default(), RunningTime);
        Self {
            name,
            per_minute: per_minute.map(|limit| (limit, limiter(limit))),
            at_once: at_once.map(|limit| (limit, Arc::default())),
        }
    }

    fn charge(&self, key: &K) -> Result<(), LimitReached> {
        let Some((limit, limiter)) = &self.per_minute else { return Ok(()) };
        limiter.check_key(key).map_err(|not_until| {
            let wait = not_until.wait_time_from(RunningTime.now());
            LimitReached { scope: self.name, limit: *limit, kind: Kind::PerMinute, wait }
        })
    }

    fn hold(&self, key: &K) -> Result<Option<Held<K>>, LimitReached> {
        let Some((limit, running)) = &self.at_once else { return Ok(None) };
        let mut counts = running.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key.clone()).or_insert(0);
        if *count >= limit.get() {
            return Err(LimitReached { scope: self.name, limit: *limit, kind: Kind::AtOnce, wait: TRY_AGAIN });
        }
        *count += 1;
        Ok(Some(Held { key: key.clone(), running: Arc::clone(running) }))
    }

    fn tidy(&self) {
        if let Some((_, limiter)) = &self.per_minute {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

impl<K: Eq + Hash> Drop for Held<K> {
    fn drop(&mut self) {
        let mut counts = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

impl<K: Eq + Hash> std::fmt::Debug for Held<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl LimitReached {
    /// The error that the caller gets.
    pub fn problem(&self) -> Problem {
        let Self { scope, limit, kind, wait } = self;
        let detail = match kind {
            Kind::PerMinute => {
                let turns = if limit.get() == 1 { "turn" } else { "turns" };
                format!("this {scope} may begin {limit} {turns} in a minute")
            }
            Kind::AtOnce if limit.get() == 1 => {
                format!(
                    "a turn of this {scope} is running, and only one may run at a time; try again when it has ended"
                )
            }
            Kind::AtOnce => format!(
                "{limit} turns of this {scope} are running, and no more may run at a time; try again when one has ended"
            ),
        };
        let problem = Problem::new(Code::RateLimited, detail).with_retry_after(*wait);
        // Programs wait a minute at most by themselves; after that a person should know.
        if wait.as_secs() > 60 { problem.with_should_retry(false) } else { problem }
    }

    /// The value of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
    pub fn policy(&self) -> String {
        let Self { scope, limit, .. } = self;
        match self.kind {
            Kind::PerMinute => format!("\"{scope}\";q={limit};w=60"),
            Kind::AtOnce => format!("\"{scope}-turns\";q={limit};qu=\"concurrent-requests\""),
        }
    }

    /// The value of `RateLimit`: nothing is left, and in how many seconds there is something again.
    pub fn state(&self) -> String {
        let seconds = self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0);
        match self.kind {
            Kind::PerMinute => format!("\"{}\";r=0;t={}", self.scope, seconds.max(1)),
            Kind::AtOnce => format!("\"{}-turns\";r=0", self.scope),
        }
    }
}

#[cfg(test)]
mod tests {
    use letterhead_context::CallerSource;

    use crate::config::limits::PerCaller;

    use super::*;

    fn limits(requests_per_minute: [Option<u32>; 2], concurrent_turns: [Option<u32>; 2]) -> CallerLimits {
        let limit = |limits: [Option<u32>; 2]| {
            let [user, tenant] = limits.map(|limit| limit.and_then(NonZeroU32::new));
            PerCaller { user, tenant }
        };
        CallerLimits::new(&Limits {
            requests_per_minute: limit(requests_per_minute),
            concurrent_turns: limit(concurrent_turns),
            ..Limits::default()
        })
    }

    fn caller(tenant: &str, user: Option<&str>) -> Caller {
        Caller::new(TenantId::new(tenant), user.map(UserId::new), CallerSource::Token)
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_has_so_many_turns_a_minute_and_gets_them_back_one_by_one() {
        let limits = limits([Some(2), None], [None, None]);
        let (one, other) = (caller("t", Some("u")), caller("t", Some("v")));
        for _ in 0..2 {
            limits.charge(&one).unwrap();
        }
        let reached = limits.charge(&one).unwrap_err();
        assert_eq!((reached.policy().as_str(), reached.state().as_str()), (r#""user";q=2;w=60"#, r#""user";r=0;t=30"#));
        assert_eq!(reached.problem().retry_after(), Some(Duration::from_secs(30)));
        limits.charge(&other).unwrap();
        limits.charge(&caller("other", Some("u"))).unwrap();
        tokio::time::advance(Duration::from_secs(30)).await;
        limits.charge(&one).unwrap();
        limits.charge(&one).unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_has_a_limit_for_all_its_users_and_those_without_a_name_are_one() {
        let limits = limits([Some(2), Some(3)], [None, None]);
        for user in [None, None, Some("u")] {
            limits.charge(&caller("t", user)).unwrap();
        }
        // The user's own limit is told first, and is no charge to the tenant.
        assert_eq!(limits.charge(&caller("t", None)).unwrap_err().scope, "user");
        assert_eq!(limits.charge(&caller("t", Some("v"))).unwrap_err().scope, "tenant");
        limits.charge(&caller("other", None)).unwrap();
    }

    #[tokio::test]
    async fn a_turn_that_ends_makes_room_for_another() {
        let limits = limits([None, None], [Some(1), Some(2)]);
        let (one, other) = (caller("t", Some("u")), caller("t", Some("v")));
        let first = limits.hold(&one).unwrap();
        let reached = limits.hold(&one).unwrap_err();
        assert_eq!(reached.policy(), r#""user-turns";q=1;qu="concurrent-requests""#);
        assert_eq!(reached.state(), r#""user-turns";r=0"#);
        let detail = "a turn of this user is running, and only one may run at a time; try again when it has ended";
        assert_eq!(reached.problem().detail(), detail);
        let second = limits.hold(&other).unwrap();
        assert_eq!(limits.hold(&caller("t", None)).unwrap_err().scope, "tenant");
        drop(first);
        let third = limits.hold(&one).unwrap();
        drop((second, third));
        assert!(limits.users.at_once.as_ref().unwrap().1.lock().unwrap().is_empty(), "nobody is remembered");
        assert!(limits.tenants.at_once.as_ref().unwrap().1.lock().unwrap().is_empty());
    }
}
