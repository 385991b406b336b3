//! What a request brings, in numbers that nobody would think of.

use std::time::Instant;

use letterhead::Agent;
use letterhead_context::{SessionId, SessionMode, TenantId};
use letterhead_store::{SessionKey, SessionRecord, Status};

use super::*;
use crate::turn::Asked;

fn stored(at: usize, role: Role, body: &serde_json::Value) -> Arc<Message> {
    let seq = at as u64;
    let (id, body) = (format!("m{at}").into(), body.to_string().into());
    Arc::new(Message {
        id,
        seq,
        turn: 1,
        role,
        body,
        agent: None,
        usage: None,
        status: Status::Complete,
        created_at_ms: 0,
    })
}

#[test]
fn results_that_are_known_are_passed_over_however_many_they_are() {
    let mut messages = vec![stored(0, Role::User, &json!({ "role": "user", "content": "Hello" }))];
    for at in 1..=2_000 {
        let call =
            json!({ "id": format!("c{at}"), "type": "function", "function": { "name": "look", "arguments": "{}" } });
        messages.push(stored(2 * at, Role::Assistant, &json!({ "role": "assistant", "tool_calls": [call] })));
        let result = json!({ "role": "tool", "tool_call_id": format!("c{at}"), "content": "seen" });
        messages.push(stored(2 * at + 1, Role::Tool, &result));
    }
    let id = SessionId::parse("s1").unwrap();
    let record = SessionRecord {
        key: SessionKey { tenant: TenantId::default(), user: None, id: id.clone() },
        asked_agent: "a".into(),
        agent: "a".into(),
        mode: SessionMode::Normal,
        client_id: None,
        created_at_ms: 0,
        updated_at_ms: 0,
    };
    // How long it takes to look through the history once.
    let look = || {
        let began = Instant::now();
        let calls = messages.iter().flat_map(|message| calls_of(message.role, &message.body)).count();
        assert_eq!(calls, 2_000);
        began.elapsed()
    };
    let once = look().max(look());
    let session = Session { record, headers: Vec::new(), variables: Vec::new(), state: None, messages, turns: 1 };
    let again: Arc<str> = json!({ "role": "tool", "tool_call_id": "c2000", "content": "seen" }).to_string().into();
    let again = IncomingMessage { role: Role::Tool, id: None, body: again };
    let incoming = Incoming::new(SessionChoice::Named(id), Asked::default(), vec![again; 2_000]);
    let registry = Registry::builder().agent(Agent::new("a")).build().unwrap();
    let begun = Instant::now();
    assert!(plan(Some(&session), &incoming, &registry).is_err(), "nothing of it is new");
    // Looking through all of it for each result would take two thousand times as long as once.
    assert!(begun.elapsed() < once * 200, "{:?}, and once {once:?}", begun.elapsed());
}
