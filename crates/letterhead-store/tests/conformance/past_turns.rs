//! Looking at turns: those that run, and those that have ended.

use std::time::Duration;

use letterhead_context::{Code, Problem};
use letterhead_store::{
    ChildRun, Lifetimes, NewMessage, Page, Role, SessionExport, Status, StoreError, TurnError, TurnFilter, TurnId,
    TurnRecord, TurnStatus, TurnSummary, Usage,
};
use serde_json::json;

use super::{House, Open, START, assistant, ids, key, open_default, owner, said, user};

fn usage(output_tokens: u64) -> Usage {
    Usage { input_tokens: 7, output_tokens, ..Usage::default() }
}

pub(crate) fn child(agent: &str, call_id: &str, children: Vec<ChildRun>) -> ChildRun {
    let question = NewMessage::new(format!("{call_id}-q"), Role::User, r#"{"role":"user","content":"Zoë 𝄞 \u0000?"}"#);
    let answer = NewMessage {
        agent: Some(agent.into()),
        usage: Some(usage(3)),
        status: Status::Incomplete,
        ..NewMessage::new(format!("{call_id}-a"), Role::Assistant, r#"{"role":"assistant","content":"well"}"#)
    };
    ChildRun {
        agent: agent.into(),
        call_id: call_id.into(),
        status: Status::Failed,
        usage: usage(5),
        messages: vec![question, answer],
        children,
    }
}

/// A turn that asks something at its end.
fn paused(id: &str, continues: Option<u64>) -> TurnRecord {
    TurnRecord { paused: true, continues, ..said(&[id, &format!("{id}-asks")]) }
}

async fn listed(house: &House, filter: &TurnFilter) -> Vec<TurnSummary> {
    house.store.turns(&key("s").owner(), filter, &Page::first(500)).await.unwrap().data
}

pub(crate) async fn a_turn_is_found_by_its_id_with_all_that_is_kept_of_it(open: Open) {
    let house = open_default(open);
    let (key, children) =
        (key("s"), vec![child("a", "c1", vec![child("b", "c2", Vec::new())]), child("c", "c3", vec![])]);
    house.turn(&key, said(&["u1", "a1"])).await;
    house.clock.advance(Duration::from_secs(1));
    let turn = house.begin(&key).await;
    let id = turn.id();
    house.clock.advance(Duration::from_secs(2));
    let record = TurnRecord { usage: Some(usage(9)), children: children.clone(), ..said(&["u2", "a2"]) };
    house.store.commit(turn, TurnRecord { agent: "billing".into(), ..record }).await.unwrap();

    let found = house.store.turn(&key.owner(), id).await.unwrap().unwrap();
    let expected = TurnSummary {
        id,
        session: key.id.clone(),
        number: 2,
        agent: Some("billing".into()),
        status: TurnStatus::Complete,
        asked: false,
        continues: None,
        began_at_ms: START + 1000,
        ended_at_ms: Some(START + 3000),
        usage: Some(usage(9)),
        error: None,
        has_children: true,
    };
    assert_eq!(found.summary, expected);
    assert_eq!(ids(&found.messages), ["u2", "a2"]);
    assert_eq!(found.children, children);
    // None of it is said in the conversation.
    assert_eq!(ids(&house.listed(&key).await), ["u1", "a1", "u2", "a2"]);
    assert_eq!(listed(&house, &TurnFilter::default()).await[0], expected);
}

pub(crate) async fn a_turn_that_runs_is_seen_until_it_ends(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let turn = house.begin(&key).await;
    let id = turn.id();
    let seen = listed(&house, &TurnFilter::default()).await;
    assert_eq!(
        seen.iter().map(|turn| (turn.id, turn.number, turn.status)).collect::<Vec<_>>(),
        [(id, 1, TurnStatus::Running)]
    );
    assert_eq!((seen[0].began_at_ms, seen[0].ended_at_ms), (START, None));
    let found = house.store.turn(&key.owner(), id).await.unwrap().unwrap();
    assert_eq!((&found.summary, found.messages.len()), (&seen[0], 0));
    house.store.commit(turn, said(&["u1"])).await.unwrap();

    let given_up = house.begin(&key).await;
    let running = TurnFilter { status: Some(TurnStatus::Running), ..TurnFilter::default() };
    assert_eq!(listed(&house, &running).await[0].number, 2);
    drop(given_up);
    // Whoever comes next finds it gone.
    drop(house.begin(&key).await);
    let ended = listed(&house, &TurnFilter { status: Some(TurnStatus::Complete), ..TurnFilter::default() }).await;
    assert_eq!(ended.iter().map(|turn| turn.id).collect::<Vec<_>>(), [id]);
}

pub(crate) async fn turns_come_newest_first_in_pages(open: Open) {
    let house = open_default(open);
    let mut made = Vec::new();
    for n in 0..7 {
        let turn = house.begin(&key(if n % 2 == 0 { "s" } else { "t" })).await;
        made.push(turn.id());
        house.store.commit(turn, said(&[&format!("u{n}")])).await.unwrap();
    }
    let running = house.begin(&key("u")).await;
    made.push(running.id());
    made.reverse();
    let (owner, filter) = (key("s").owner(), TurnFilter::default());
    let (mut page, mut seen) = (Page::first(3), Vec::new());
    loop {
        let list = house.store.turns(&owner, &filter, &page).await.unwrap();
        assert!(list.data.len() == 3 || !list.has_more);
        seen.extend(list.data.iter().map(|turn| turn.id));
        if !list.has_more {
            break;
        }
        page = Page::first(3).after(seen.last().unwrap().to_string());
    }
    assert_eq!(seen, made);
    let refused = house.store.turns(&owner, &filter, &Page::first(3).after("s")).await;
    assert_eq!(refused.err(), Some(StoreError::UnknownCursor));
}

pub(crate) async fn turns_are_filtered(open: Open) {
    let house = open_default(open);
    for (n, (session, status)) in
        [("s", Status::Complete), ("t", Status::Failed), ("s", Status::Incomplete), ("s", Status::Failed)]
            .into_iter()
            .enumerate()
    {
        house.clock.advance(Duration::from_secs(1));
        house.turn(&key(session), TurnRecord { status, ..said(&[&format!("u{n}")]) }).await;
    }
    let numbers = async |filter| {
        listed(&house, &filter).await.iter().map(|turn| (turn.session.to_string(), turn.number)).collect::<Vec<_>>()
    };
    let of = |session: &str, number| (session.to_owned(), number);
    let all = TurnFilter::default();
    let session = Some(key("s").id);
    assert_eq!(
        numbers(TurnFilter { session: session.clone(), ..all.clone() }).await,
        [of("s", 3), of("s", 2), of("s", 1)]
    );
    let failed = Some(TurnStatus::Failed);
    assert_eq!(numbers(TurnFilter { status: failed, ..all.clone() }).await, [of("s", 3), of("t", 1)]);
    assert_eq!(numbers(TurnFilter { status: failed, session, ..all.clone() }).await, [of("s", 3)]);
    let after = Some(START + 2000);
    assert_eq!(numbers(TurnFilter { ended_after_ms: after, ..all }).await, [of("s", 3), of("s", 2)]);
}

pub(crate) async fn a_turn_that_goes_on_with_a_paused_one_names_the_first(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, said(&["u1"])).await;
    let first = house.begin(&key).await;
    let id = first.id();
    house.store.commit(first, paused("u2", None)).await.unwrap();
    house.turn(&key, paused("u3", Some(2))).await;
    house.turn(&key, TurnRecord { continues: Some(3), ..said(&["u4"]) }).await;
    house.turn(&key, TurnRecord { continues: Some(99), ..said(&["u5"]) }).await;

    let all = listed(&house, &TurnFilter::default()).await;
    // None of them waits any more.
    let of = |turn: &TurnSummary| (turn.number, turn.asked, turn.continues);
    assert!(all.iter().all(|turn| turn.status == TurnStatus::Complete), "{all:#?}");
    let expected = [(5, false, None), (4, false, Some(id)), (3, true, Some(id)), (2, true, None), (1, false, None)];
    assert_eq!(all.iter().map(of).collect::<Vec<_>>(), expected);
    let of_task = listed(&house, &TurnFilter { continues: Some(id), ..TurnFilter::default() }).await;
    assert_eq!(of_task.iter().map(|turn| turn.number).collect::<Vec<_>>(), [4, 3]);
}

pub(crate) async fn a_turn_is_paused_while_it_waits(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let failed = |id: &str| TurnRecord { status: Status::Failed, ..said(&[id]) };
    let waiting = async || {
        let filter = |status| TurnFilter { status: Some(status), ..TurnFilter::default() };
        let waiting = listed(&house, &filter(TurnStatus::Paused)).await;
        let complete = listed(&house, &filter(TurnStatus::Complete)).await;
        assert!(complete.iter().all(|turn| turn.status == TurnStatus::Complete && !waiting.contains(turn)));
        for turn in waiting.iter().chain(&complete) {
            assert_eq!(house.store.turn(&key.owner(), turn.id).await.unwrap().unwrap().summary, *turn);
        }
        waiting.iter().map(|turn| turn.number).collect::<Vec<_>>()
    };
    house.turn(&key, said(&["u1"])).await;
    house.turn(&key, paused("u2", None)).await;
    assert_eq!(waiting().await, [2]);
    // What failed is no history: it can be answered as before.
    house.turn(&key, failed("u3")).await;
    assert_eq!(waiting().await, [2]);
    house.turn(&key, paused("u4", Some(2))).await;
    assert_eq!(waiting().await, [4], "one was answered, and asked again");
    house.turn(&key, said(&["u5"])).await;
    assert_eq!(waiting().await, [] as [u64; 0], "the conversation went on without it");
    house.turn(&key, paused("u6", None)).await;
    // Its answer was taken, and its result is there, though the model failed afterwards.
    let lasting = NewMessage { lasting: true, ..NewMessage::new("t7", Role::Tool, r#"{"role":"tool"}"#) };
    house.turn(&key, TurnRecord { messages: vec![lasting], continues: Some(6), ..failed("-") }).await;
    assert_eq!(waiting().await, [] as [u64; 0]);
    house.turn(&key, paused("u8", None)).await;
    assert_eq!(waiting().await, [8]);
    // It was answered in vain, and waits on.
    let error = Some(TurnError::from(&Problem::new(Code::ContextUnavailable, "down")));
    house.turn(&key, TurnRecord { paused: true, continues: Some(8), error, ..failed("u9") }).await;
    assert_eq!(waiting().await, [9, 8]);
    // Asked again, and broken off before there was an answer: what asked is cut off.
    let kept = house.session(&key).await.messages.len() - 1;
    let cut = TurnRecord { status: Status::Incomplete, keep: Some(kept), ..TurnRecord::new("assistant") };
    let session = house.turn(&key, cut).await;
    assert_eq!(session.messages.last().map(|message| &*message.id), Some("u8"));
    assert_eq!(waiting().await, [] as [u64; 0]);
    let statuses: Vec<_> = listed(&house, &TurnFilter::default()).await.iter().map(|turn| turn.status).collect();
    assert_eq!(statuses[..3], [TurnStatus::Incomplete, TurnStatus::Failed, TurnStatus::Complete]);
    let nothing = TurnRecord { status: Status::Incomplete, keep: Some(0), ..TurnRecord::new("assistant") };
    house.turn(&key, paused("u11", None)).await;
    house.turn(&key, nothing).await;
    assert_eq!(waiting().await, [] as [u64; 0]);
    let asked = listed(&house, &TurnFilter::default()).await;
    let asked: Vec<_> = asked.iter().filter(|turn| turn.asked).map(|turn| turn.number).collect();
    assert_eq!(asked, [11, 9, 8, 6, 4, 2]);
}

pub(crate) async fn why_a_turn_failed_is_kept_with_it(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let problem = Problem::new(Code::UpstreamTimeout, "no answer in time: Zoë 𝄞 \u{0}");
    let error = Some(TurnError::from(&problem));
    assert_eq!(
        error.as_ref().map(|error| (&*error.code, &*error.message)),
        Some(("upstream_timeout", problem.detail()))
    );
    let failed = TurnRecord { status: Status::Failed, error: error.clone(), ..said(&["u1"]) };
    let children = vec![child("a", "c1", Vec::new())];
    let cut_short = TurnRecord { status: Status::Incomplete, error: error.clone(), children, ..said(&["u2"]) };
    let untold = TurnRecord { status: Status::Failed, ..said(&["u3"]) };
    for record in [failed, cut_short, untold, said(&["u4"])] {
        house.turn(&key, record).await;
    }
    let all = listed(&house, &TurnFilter::default()).await;
    let expected = [None, None, error.clone(), error];
    assert_eq!(all.iter().map(|turn| turn.error.clone()).collect::<Vec<_>>(), expected);
    for (turn, error) in all.iter().zip(expected) {
        let found = house.store.turn(&key.owner(), turn.id).await.unwrap().unwrap();
        assert_eq!((found.summary.error, found.children.len()), (error, usize::from(turn.has_children)));
    }
    let export = SessionExport::read(&*house.store, &key).await.unwrap().unwrap();
    let turns = serde_json::to_value(&export).unwrap()["turn_list"].take();
    assert_eq!(turns[0]["error"], json!({ "code": "upstream_timeout", "message": problem.detail() }));
    assert_eq!((&turns[1]["error"], &turns[3]["error"]), (&turns[0]["error"], &json!(null)));
    // However long it is, so much is kept.
    let long = TurnError::from(&Problem::new(Code::Internal, "ä".repeat(5000)));
    assert_eq!((long.message.chars().count(), long.message.chars().last()), (1001, Some('…')));
}

pub(crate) async fn a_turn_that_runs_names_the_one_it_goes_on_with(open: Open) {
    let house = open_default(open);
    let key = key("s");
    let first = house.begin(&key).await;
    let task = first.id();
    house.store.commit(first, paused("u1", None)).await.unwrap();
    house.turn(&key, paused("u2", Some(1))).await;
    let found = async |id| house.store.turn(&key.owner(), id).await.unwrap().unwrap().summary;
    let of_task = TurnFilter { continues: Some(task), ..TurnFilter::default() };
    let numbers = async || listed(&house, &of_task).await.iter().map(|turn| turn.number).collect::<Vec<_>>();

    let running = house.begin(&key).await;
    assert_eq!((found(running.id()).await.continues, numbers().await), (None, vec![2]));
    house.store.goes_on(&running, 2).await.unwrap();
    let seen = found(running.id()).await;
    assert_eq!((seen.status, seen.continues, seen.task()), (TurnStatus::Running, Some(task), task));
    assert_eq!(numbers().await, [3, 2]);
    assert_eq!(listed(&house, &TurnFilter::default()).await[0], seen);
    // What waited does so until it is answered.
    assert_eq!(listed(&house, &of_task).await[1].status, TurnStatus::Paused);
    // One that is given up has gone on with nothing, and the next one goes on with nothing of its own accord.
    drop(running);
    let next = house.begin(&key).await;
    assert_eq!((found(next.id()).await.continues, numbers().await), (None, vec![2]));
    // What is not there is not noted.
    house.store.goes_on(&next, 99).await.unwrap();
    assert_eq!(found(next.id()).await.continues, None);
    drop(next);
    let new = house.store.begin_new(&super::key("new")).await.unwrap();
    house.store.goes_on(&new, 1).await.unwrap();
    assert_eq!(found(new.id()).await.continues, None);
}

pub(crate) async fn of_a_task_of_several_turns_the_last_is_listed(open: Open) {
    let house = open_default(open);
    // Tasks of one turn, of three, and of two with others between them; and one that is gone on with now.
    house.turn(&key("one"), said(&["u1"])).await;
    house.turn(&key("three"), paused("u1", None)).await;
    house.turn(&key("three"), paused("u2", Some(1))).await;
    house.turn(&key("two"), paused("u1", None)).await;
    house.turn(&key("three"), TurnRecord { continues: Some(2), ..said(&["u3"]) }).await;
    house.turn(&key("two"), TurnRecord { status: Status::Failed, ..said(&["u2"]) }).await;
    house.turn(&key("two"), TurnRecord { status: Status::Failed, continues: Some(1), ..said(&["u3"]) }).await;
    house.turn(&key("now"), paused("u1", None)).await;
    let last = TurnFilter { last_of_task: true, ..TurnFilter::default() };
    let all = async |filter: &TurnFilter, size| {
        let (mut page, mut seen) = (Page::first(size), Vec::new());
        loop {
            let list = house.store.turns(&key("s").owner(), filter, &page).await.unwrap();
            assert!(list.data.len() == size || !list.has_more);
            seen.extend(list.data.iter().map(|turn| format!("{}/{}", turn.session, turn.number)));
            let Some(last) = list.data.last().filter(|_| list.has_more) else { return seen };
            page = Page::first(size).after(last.id.to_string());
        }
    };
    for size in [1, 2, 3, 50] {
        assert_eq!(all(&last, size).await, ["now/1", "two/3", "two/2", "three/3", "one/1"], "{size}");
    }
    let of_two = TurnFilter { session: Some(key("two").id), ..last.clone() };
    assert_eq!(all(&of_two, 50).await, ["two/3", "two/2"]);
    for (status, expected) in [
        (TurnStatus::Failed, vec!["two/3", "two/2"]),
        (TurnStatus::Complete, vec!["three/3", "one/1"]),
        (TurnStatus::Paused, vec!["now/1"]),
    ] {
        assert_eq!(all(&TurnFilter { status: Some(status), ..last.clone() }, 50).await, expected, "{status:?}");
    }
    let answering = house.begin(&key("now")).await;
    assert_eq!(all(&last, 50).await[..2], ["now/2", "now/1"], "it is not known yet");
    house.store.goes_on(&answering, 1).await.unwrap();
    for size in [1, 2, 3, 50] {
        assert_eq!(all(&last, size).await, ["now/2", "two/3", "two/2", "three/3", "one/1"], "{size}");
    }
    let waiting = TurnFilter { status: Some(TurnStatus::Paused), ..last.clone() };
    assert_eq!(all(&waiting, 50).await, [] as [&str; 0]);
    drop(answering);
    drop(house.begin(&key("now")).await);
    assert_eq!(all(&waiting, 50).await, ["now/1"]);
}

pub(crate) async fn what_lasts_is_history_though_its_turn_failed(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, said(&["u1", "a1"])).await;
    let lasting = NewMessage { lasting: true, ..NewMessage::new("t1", Role::Tool, r#"{"role":"tool"}"#) };
    let messages = vec![user("u2"), lasting, assistant("a2")];
    let children = vec![child("a", "c1", Vec::new())];
    let failed = TurnRecord { status: Status::Failed, children, messages, ..TurnRecord::new("assistant") };
    let session = house.turn(&key, failed).await;
    // Before a turn is begun and left, which is listed until its lease has ended.
    assert!(listed(&house, &TurnFilter::default()).await[0].has_children);
    assert_eq!(ids(&session.messages), ["u1", "a1", "t1"]);
    assert_eq!(house.found(&key).await, Some(session));
    let statuses: Vec<_> = house.listed(&key).await.iter().map(|message| message.status).collect();
    let (complete, failed) = (Status::Complete, Status::Failed);
    assert_eq!(statuses, [complete, complete, failed, complete, failed]);
    // The same question may be asked again, and what lasts stays where it is.
    assert_eq!(ids(&house.turn(&key, said(&["u2", "a2"])).await.messages), ["u1", "a1", "t1", "u2", "a2"]);
}

pub(crate) async fn turns_are_their_owners_alone_and_go_with_their_session(open: Open) {
    let house = open(Lifetimes { sessions: Some(Duration::from_secs(60)), ..Lifetimes::default() });
    let here = key("s");
    let theirs = [owner("default", Some("bob")), owner("other", Some("ada")), owner("default", None)];
    let turn = house.begin(&here).await;
    let id = turn.id();
    for running in [true, false] {
        for other in &theirs {
            assert_eq!(house.store.turn(other, id).await.unwrap(), None, "{running}");
            assert!(house.store.turns(other, &TurnFilter::default(), &Page::default()).await.unwrap().data.is_empty());
        }
    }
    house.store.commit(turn, said(&["u1"])).await.unwrap();
    for other in &theirs {
        assert_eq!(house.store.turn(other, id).await.unwrap(), None);
        house.turn(&other.session(here.id.clone()), said(&["u1"])).await;
        let own = house.store.turns(other, &TurnFilter::default(), &Page::default()).await.unwrap().data;
        assert_eq!(own.len(), 1);
        assert_ne!(own[0].id, id);
    }
    assert!(house.store.turn(&here.owner(), id).await.unwrap().is_some());
    assert!(house.store.delete(&here).await.unwrap());
    assert_eq!(house.store.turn(&here.owner(), id).await.unwrap(), None);
    assert!(listed(&house, &TurnFilter::default()).await.is_empty());

    house.turn(&here, said(&["u1"])).await;
    let [kept] = listed(&house, &TurnFilter::default()).await.try_into().unwrap();
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(house.store.turn(&here.owner(), kept.id).await.unwrap(), None);
    assert!(listed(&house, &TurnFilter::default()).await.is_empty());
    let nobody = TurnId::parse("0193a2c4-5e6f-7abc-8def-0123456789ab").unwrap();
    assert_eq!(house.store.turn(&here.owner(), nobody).await.unwrap(), None);
}
