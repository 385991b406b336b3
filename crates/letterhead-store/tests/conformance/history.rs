//! What was said, and what becomes of it.

use std::time::Duration;

use letterhead_context::SessionMode;
use letterhead_store::{Lifetimes, NewMessage, Page, Role, Status, StoreError, TurnRecord, TurnTrail, Usage};

use super::variables::fetched;
use super::{Open, START, assistant, entry, headers, ids, key, open_default, said, set, some_values, user};

const USAGE: Usage = Usage { input_tokens: 12, output_tokens: 3, cached_input_tokens: 4, reasoning_tokens: 1 };

pub(crate) async fn a_turn_comes_back_whole(open: Open) {
    let house = open_default(open);
    let key = key("sess-456");
    let tool = NewMessage {
        agent: Some("billing".into()),
        usage: Some(USAGE),
        status: Status::Incomplete,
        ..NewMessage::new("m3", Role::Tool, "{\"content\":\"Zoë 𝄞 \\u0000 'quoted' \\n\"}")
    };
    let system = NewMessage::new("m0", Role::System, "{}");
    let record = TurnRecord {
        asked_agent: "assistant".into(),
        agent: "billing".into(),
        mode: SessionMode::Evaluation,
        client_id: Some("web".into()),
        status: Status::Incomplete,
        keep: None,
        messages: vec![system.clone(), user("m1"), assistant("m2"), tool.clone()],
        headers: vec![set("values", some_values())],
        variables: vec![fetched("plan", some_values())],
        state: Some(r#"{"order":7}"#.into()),
        usage: Some(USAGE),
        children: Vec::new(),
        error: None,
        paused: false,
        continues: None,
        trail: vec![entry("X-Agent"), entry("X-User")],
        answer: None,
    };
    let committed = house.turn(&key, record).await;
    let record = &committed.record;
    assert_eq!(record.key, key);
    assert_eq!((&*record.asked_agent, &*record.agent), ("assistant", "billing"));
    assert_eq!((record.mode, record.client_id.as_deref()), (SessionMode::Evaluation, Some("web")));
    assert_eq!(committed.turns, 1);
    assert_eq!(committed.state.as_deref(), Some(r#"{"order":7}"#));
    assert_eq!(headers(&committed)["values"], some_values());

    let given = [system, user("m1"), assistant("m2"), tool];
    assert_eq!(committed.messages.len(), given.len());
    for (stored, given) in committed.messages.iter().zip(&given) {
        assert_eq!((&stored.id, stored.role, &stored.body), (&given.id, given.role, &given.body));
        assert_eq!((&stored.agent, stored.usage, stored.status), (&given.agent, given.usage, given.status));
        assert_eq!(stored.turn, 1);
    }
    assert_eq!(house.session(&key).await, committed);
    assert_eq!(house.found(&key).await, Some(committed.clone()));
    assert_eq!(house.listed(&key).await, committed.messages);
    let trail = house.store.trail(&key, &Page::default()).await.unwrap().unwrap();
    assert_eq!(trail.data, [TurnTrail { turn: 1, entries: vec![entry("X-Agent"), entry("X-User")] }]);
}

pub(crate) async fn history_grows_in_order(open: Open) {
    let house = open_default(open);
    let key = key("s");
    assert!(house.begin(&key).await.session().is_none());
    for turn in 1..=5 {
        let (question, answer) = (format!("u{turn}"), format!("a{turn}"));
        let session = house.turn(&key, said(&[&question, &answer])).await;
        assert_eq!(session.turns, turn);
    }
    let session = house.session(&key).await;
    assert_eq!(ids(&session.messages), ["u1", "a1", "u2", "a2", "u3", "a3", "u4", "a4", "u5", "a5"]);
    assert!(session.messages.is_sorted_by(|a, b| a.seq < b.seq));
    assert_eq!(session.messages[9].turn, 5);
}

pub(crate) async fn an_incomplete_turn_is_history(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let cut_short = NewMessage { status: Status::Incomplete, ..assistant("a1") };
    let record = TurnRecord {
        status: Status::Incomplete,
        messages: vec![user("u1"), cut_short],
        ..TurnRecord::new("assistant")
    };
    let session = house.turn(&key, record).await;
    assert_eq!(ids(&session.messages), ["u1", "a1"]);
    assert_eq!(session.messages[1].status, Status::Incomplete);
}

pub(crate) async fn a_failed_turn_is_listed_and_leaves_the_conversation_as_it_was(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let before = house.turn(&key, TurnRecord { state: Some("{}".into()), ..said(&["u1", "a1"]) }).await;
    let failed = TurnRecord {
        status: Status::Failed,
        agent: "billing".into(),
        asked_agent: "billing".into(),
        mode: SessionMode::Evaluation,
        state: Some(r#"{"lost":true}"#.into()),
        trail: vec![entry("X-User")],
        ..said(&["u2", "a2"])
    };
    let after = house.turn(&key, failed).await;
    assert_eq!(after.turns, 2);
    assert_eq!(after.messages, before.messages);
    assert_eq!((&after.record, &after.state), (&before.record, &before.state));
    let listed = house.listed(&key).await;
    assert_eq!(ids(&listed), ["u1", "a1", "u2", "a2"]);
    assert_eq!((listed[2].status, listed[3].status), (Status::Failed, Status::Failed));
    assert_eq!(house.store.trail(&key, &Page::default()).await.unwrap().unwrap().data[0].turn, 2);

    let next = house.turn(&key, said(&["u3", "a3"])).await;
    assert_eq!(ids(&next.messages), ["u1", "a1", "u3", "a3"]);
    assert_eq!(ids(&house.listed(&key).await), ["u1", "a1", "u2", "a2", "u3", "a3"]);
}

pub(crate) async fn a_failed_first_turn_makes_the_session(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let failed = TurnRecord { status: Status::Failed, agent: "billing".into(), ..said(&["u1"]) };
    let session = house.turn(&key, failed).await;
    // Whoever took over in it does not keep the conversation.
    assert_eq!((session.turns, session.messages.len(), &*session.record.agent), (1, 0, "assistant"));
    assert_eq!(house.found(&key).await, Some(session));
    assert_eq!(ids(&house.listed(&key).await), ["u1"]);
}

pub(crate) async fn failed_messages_give_up_their_ids(open: Open) {
    let house = open_default(open);
    let key = key("s");
    // A client repeats what failed, twice, with the id that it gave its message.
    for _ in 0..2 {
        house.turn(&key, TurnRecord { status: Status::Failed, ..said(&["u1"]) }).await;
    }
    let session = house.turn(&key, said(&["u1", "a1"])).await;
    assert_eq!(ids(&session.messages), ["u1", "a1"]);
    // It asks for another answer, which fails: the message is in the history already.
    let again = TurnRecord { status: Status::Failed, keep: Some(0), ..said(&["u1"]) };
    assert_eq!(ids(&house.turn(&key, again).await.messages), ["u1", "a1"]);

    let listed = house.listed(&key).await;
    let bodies = listed.iter().filter(|message| message.role == Role::User).map(|message| message.body.clone());
    assert!(bodies.eq([user("u1").body, user("u1").body, user("u1").body, user("u1").body]));
    let mut unique = ids(&listed);
    assert_eq!(unique[2..4], ["u1", "a1"]);
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), 5);
}

pub(crate) async fn an_id_that_is_taken_is_refused_and_nothing_written(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let before = house.turn(&key, said(&["u1", "a1"])).await;
    for record in [said(&["u2", "a1"]), said(&["u2", "u2"])] {
        let refused = house.try_turn(&key, record).await;
        assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    }
    assert_eq!(house.session(&key).await, before);
}

pub(crate) async fn a_cut_removes_the_newest_messages(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, said(&["u1", "a1"])).await;
    house.turn(&key, said(&["u2", "a2"])).await;
    house.turn(&key, TurnRecord { status: Status::Failed, ..said(&["u3"]) }).await;
    // Another answer to u2: what came after it goes, the failed turn too.
    let other_answer = TurnRecord { keep: Some(3), messages: vec![assistant("a2b")], ..TurnRecord::new("assistant") };
    let session = house.turn(&key, other_answer).await;
    assert_eq!(ids(&session.messages), ["u1", "a1", "u2", "a2b"]);
    assert_eq!(ids(&house.listed(&key).await), ["u1", "a1", "u2", "a2b"]);
    assert_eq!(house.found(&key).await, Some(session));

    let kept_all = house.turn(&key, TurnRecord { keep: Some(99), ..TurnRecord::new("assistant") }).await;
    assert_eq!(kept_all.messages.len(), 4);
    let kept_none = house.turn(&key, TurnRecord { keep: Some(0), ..said(&["a1"]) }).await;
    assert_eq!(ids(&kept_none.messages), ["a1"]);
}

pub(crate) async fn a_message_is_replaced_by_cutting_before_it(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, said(&["u1", "a1"])).await;
    let before = house.turn(&key, said(&["u2", "a2"])).await;
    let edited = NewMessage { body: r#"{"role":"user","content":"edited"}"#.into(), ..user("u2") };
    let record = TurnRecord { keep: Some(2), messages: vec![edited, assistant("a3")], ..TurnRecord::new("assistant") };
    let session = house.turn(&key, record).await;
    assert_eq!(ids(&session.messages), ["u1", "a1", "u2", "a3"]);
    assert!(session.messages[2].body.contains("edited"));
    assert!(session.messages[2].seq > before.messages[3].seq);
}

pub(crate) async fn a_failed_turn_cuts_nothing(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, said(&["u1", "a1"])).await;
    let session = house.turn(&key, TurnRecord { status: Status::Failed, keep: Some(0), ..said(&["u9"]) }).await;
    assert_eq!(ids(&session.messages), ["u1", "a1"]);
    assert_eq!(ids(&house.listed(&key).await), ["u1", "a1", "u9"]);
}

pub(crate) async fn state_stays_until_it_is_replaced(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let state = |state: &str| TurnRecord { state: Some(state.into()), ..TurnRecord::new("assistant") };
    house.turn(&key, state(r#"{"a":1}"#)).await;
    house.turn(&key, TurnRecord::new("assistant")).await;
    assert_eq!(house.session(&key).await.state.as_deref(), Some(r#"{"a":1}"#));
    house.turn(&key, state("{}")).await;
    assert_eq!(house.found(&key).await.unwrap().state.as_deref(), Some("{}"));
}

pub(crate) async fn times_are_those_of_the_clock(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let turn = house.begin(&key).await;
    assert_eq!(turn.began_at_ms(), START);
    house.clock.advance(Duration::from_secs(3));
    let first = house.store.commit(turn, said(&["u1", "a1"])).await.unwrap();
    assert_eq!((first.record.created_at_ms, first.record.updated_at_ms), (START, START + 3000));
    assert_eq!((first.messages[0].created_at_ms, first.messages[1].created_at_ms), (START, START + 3000));
    house.clock.advance(Duration::from_secs(1));
    let second = house.turn(&key, said(&["u2"])).await;
    assert_eq!((second.record.created_at_ms, second.record.updated_at_ms), (START, START + 4000));
}

pub(crate) async fn sessions_expire_as_a_whole(open: Open) {
    let hour = Duration::from_hours(1);
    let house = open(Lifetimes { sessions: Some(hour), ..Lifetimes::default() });
    let key = key("s");
    house.turn(&key, said(&["u1"])).await;
    house.clock.advance(hour - Duration::from_millis(1));
    house.turn(&key, said(&["u2"])).await;
    house.clock.advance(hour);
    let list = house.store.sessions(&key.owner(), &Default::default(), &Page::default()).await.unwrap();
    assert!(list.data.is_empty());
    assert!(house.store.session(&key).await.unwrap().is_none());
    assert!(house.store.messages(&key, &Page::default()).await.unwrap().is_none());
    assert!(house.store.trail(&key, &Page::default()).await.unwrap().is_none());
    // The same id begins a conversation of which the old one is no part.
    let session = house.turn(&key, said(&["u1"])).await;
    assert_eq!((session.turns, ids(&session.messages)), (1, vec!["u1"]));
    assert_eq!(ids(&house.listed(&key).await), ["u1"]);
    house.clock.advance(hour);
    assert!(!house.store.delete(&key).await.unwrap());
}
