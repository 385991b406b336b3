//! Another caller's session is simply not there.

use std::collections::BTreeMap;
use std::time::Duration;

use letterhead_context::SessionId;
use letterhead_store::{
    KeptVariable, Owner, Page, SessionFilter, SessionKey, Status, TurnFilter, TurnRecord, TurnStatus,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::past_turns::child;
use super::variables::{fetched, variables};
use super::{House, Open, assistant, headers, ids, open_default, owner, said, set, set_secret, user};

/// Callers that are easily mixed up.
fn owners() -> Vec<Owner> {
    let users = [None, Some(""), Some("ada"), Some("default")];
    ["default", "ada"].into_iter().flat_map(|tenant| users.map(|user| owner(tenant, user))).collect()
}

fn session(owner: usize, id: usize) -> SessionKey {
    owners()[owner].session(SessionId::parse(["s", "ada"][id]).unwrap())
}

pub(crate) async fn equal_ids_of_other_callers_are_other_sessions(open: Open) {
    let house = open_default(open);
    for n in 0..owners().len() {
        let key = session(n, 0);
        assert!(house.store.session(&key).await.unwrap().is_none());
        assert!(house.store.messages(&key, &Page::default()).await.unwrap().is_none());
        assert!(house.store.trail(&key, &Page::default()).await.unwrap().is_none());
        assert!(!house.store.delete(&key).await.unwrap());
        let record = TurnRecord { headers: vec![set_secret("auth_token", n)], ..said(&[&format!("u{n}")]) };
        // Turns of the others' sessions of this name run meanwhile.
        let _others: Vec<_> = others(&house, n).await;
        let new = house.turn(&key, record).await;
        assert_eq!((new.turns, new.messages.len()), (1, 1));
    }
    for (n, owner) in owners().iter().enumerate() {
        let found = house.session(&session(n, 0)).await;
        assert_eq!((ids(&found.messages), headers(&found)), (vec![&*format!("u{n}")], json!({"auth_token": n})));
        let list = house.store.sessions(owner, &SessionFilter::default(), &Page::default()).await.unwrap();
        assert_eq!(list.data, [found.summary()]);
    }
    assert!(house.store.delete(&session(0, 0)).await.unwrap());
    for n in 1..owners().len() {
        assert_eq!(headers(&house.session(&session(n, 0)).await), json!({"auth_token": n}));
    }
}

async fn others(house: &House, but: usize) -> Vec<letterhead_store::Turn> {
    let mut turns = Vec::new();
    for n in (0..owners().len()).filter(|n| *n != but) {
        turns.push(house.begin(&session(n, 0)).await);
    }
    turns
}

/// Something that a caller does.
#[derive(Clone, Debug)]
enum Deed {
    Turn { failed: bool, said: usize, keep: Option<usize>, header: u8, secret: bool, state: bool, ttl: Option<u8> },
    Delete,
    Wait { minutes: u64 },
}

/// What a session must look like.
#[derive(Clone, Debug, Default)]
struct Model {
    turns: u64,
    history: Vec<String>,
    listed: Vec<(String, Status)>,
    /// How each turn has ended, and whether an agent was asked in it.
    ended: Vec<(TurnStatus, bool)>,
    headers: BTreeMap<String, (u64, i64, bool)>,
    variables: BTreeMap<String, (u64, Option<i64>)>,
    state: Option<String>,
}

fn deeds() -> impl Strategy<Value = Vec<(usize, usize, Deed)>> {
    let turn = (any::<bool>(), 0..3_usize, prop::option::of(0..6_usize), 0..3_u8, any::<bool>(), any::<bool>());
    let turn = (turn, prop::option::of(0..100_u8));
    let deed = prop_oneof![
        8 => turn.prop_map(|((failed, said, keep, header, secret, state), ttl)| {
            Deed::Turn { failed, said, keep, header, secret, state, ttl }
        }),
        1 => Just(Deed::Delete),
        1 => (1..90_u64).prop_map(|minutes| Deed::Wait { minutes }),
    ];
    // Few callers at a time, so that they meet.
    prop::collection::vec((0..8_usize, 0..2_usize, deed), 1..30)
}

pub(crate) async fn random_use_agrees_with_a_simple_model(open: Open) {
    let cases = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        TestRunner::new(cases).run(&deeds(), |deeds| {
            runtime.block_on(act(&open_default(open), &deeds));
            Ok(())
        })
    };
    tokio::task::spawn_blocking(run).await.unwrap().unwrap();
}

async fn act(house: &House, deeds: &[(usize, usize, Deed)]) {
    let mut models: BTreeMap<(usize, usize), Model> = BTreeMap::new();
    let mut now_ms = super::START;
    for (n, (owner, id, deed)) in deeds.iter().enumerate() {
        let key = session(*owner, *id);
        match deed {
            Deed::Delete => {
                let deleted = house.store.delete(&key).await.unwrap();
                assert_eq!(deleted, models.remove(&(*owner, *id)).is_some());
            }
            Deed::Wait { minutes } => {
                house.clock.advance(Duration::from_mins(*minutes));
                now_ms += i64::try_from(minutes * 60_000).unwrap();
            }
            Deed::Turn { .. } => {
                let model = models.entry((*owner, *id)).or_default();
                let committed = house.turn(&key, record(n, deed, now_ms)).await;
                model.apply(n, deed, now_ms);
                assert_eq!(house.session(&key).await, committed);
            }
        }
        for owner in 0..owners().len() {
            for id in 0..2 {
                compare(house, &session(owner, id), models.get(&(owner, id)), now_ms).await;
            }
        }
    }
}

fn record(n: usize, deed: &Deed, now_ms: i64) -> TurnRecord {
    let Deed::Turn { failed, said, keep, header, secret, state, ttl } = deed else { unreachable!() };
    // Of the other kind than the header, so that all pairs of kinds come up.
    let variable = KeptVariable {
        expires_at_ms: ttl.map(|minutes| now_ms + 60_000 * i64::from(minutes)),
        secret: !*secret,
        ..fetched(&format!("v{header}"), n)
    };
    let field = format!("h{header}");
    let messages = (0..*said).map(|m| if m == 0 { user(&format!("m{n}")) } else { assistant(&format!("m{n}-{m}")) });
    TurnRecord {
        status: if *failed { Status::Failed } else { Status::Complete },
        keep: *keep,
        messages: messages.collect(),
        headers: vec![if *secret { set_secret(&field, n) } else { set(&field, n) }],
        variables: vec![variable],
        state: state.then(|| format!(r#"{{"n":{n}}}"#).into()),
        // Every other turn asks somebody.
        children: (0..n % 2).map(|at| child("researcher", &format!("c{n}-{at}"), Vec::new())).collect(),
        ..TurnRecord::new("assistant")
    }
}

impl Model {
    fn apply(&mut self, n: usize, deed: &Deed, now_ms: i64) {
        let Deed::Turn { failed, header, secret, .. } = deed else { unreachable!() };
        let record = record(n, deed, now_ms);
        let first = self.turns == 0;
        self.ended.push((if *failed { TurnStatus::Failed } else { TurnStatus::Complete }, n % 2 == 1));
        self.turns += 1;
        for kept in &record.variables {
            self.variables.insert(kept.name.to_string(), (n as u64, kept.expires_at_ms));
        }
        self.headers.insert(format!("h{header}"), (n as u64, now_ms, *secret));
        if !failed && let Some(gone) = record.keep.and_then(|keep| self.history.get(keep)).cloned() {
            let place = self.listed.iter().position(|(id, _)| *id == gone).unwrap();
            self.listed.truncate(place);
            self.history.truncate(record.keep.unwrap());
        }
        for message in &record.messages {
            self.listed.push((message.id.to_string(), if *failed { Status::Failed } else { Status::Complete }));
            if !failed {
                self.history.push(message.id.to_string());
            }
        }
        if (first || !failed) && record.state.is_some() {
            self.state = record.state.map(|state| state.to_string());
        }
    }
}

async fn compare(house: &House, key: &SessionKey, model: Option<&Model>, now_ms: i64) {
    let stored = house.store.session(key).await.unwrap();
    let filter = TurnFilter { session: Some(key.id.clone()), ..TurnFilter::default() };
    let turns = house.store.turns(&key.owner(), &filter, &Page::first(500)).await.unwrap().data;
    let Some(model) = model else {
        assert!(stored.is_none() && turns.is_empty());
        return;
    };
    let ended = turns.iter().rev().map(|turn| (turn.status, turn.has_children));
    assert!(ended.eq(model.ended.iter().copied()), "{turns:?}");
    let last = house.store.turn(&key.owner(), turns[0].id).await.unwrap().unwrap();
    assert_eq!((&last.summary, last.children.len()), (&turns[0], usize::from(turns[0].has_children)));
    let stored = stored.unwrap();
    assert_eq!((stored.turns, ids(&stored.messages)), (model.turns, model.history.iter().map(|id| &**id).collect()));
    let listed = house.listed(key).await;
    assert!(listed.iter().map(|m| (m.id.to_string(), m.status)).eq(model.listed.iter().cloned()));
    assert_eq!(stored.state.as_deref(), model.state.as_deref());
    let minutes = |sent_at: &i64| (now_ms - sent_at) / 60_000;
    let live = model.headers.iter().filter(|(_, (_, at, secret))| minutes(at) < if *secret { 60 } else { 24 * 60 });
    let expected: serde_json::Map<_, _> = live.map(|(field, (n, ..))| (field.clone(), json!(n))).collect();
    assert_eq!(headers(&stored), serde_json::Value::Object(expected));
    let fresh = model.variables.iter().filter(|(_, (_, until))| until.is_none_or(|until| now_ms < until));
    let expected: serde_json::Map<_, _> = fresh.map(|(name, (n, _))| (name.clone(), json!(n))).collect();
    assert_eq!(variables(&stored), serde_json::Value::Object(expected));
}
