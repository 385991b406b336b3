//! CONTRACT 9, `/a2a`: `ListTasks` begins no turn and no limit of the caller counts it. So it looks at so many turns and no more,
//! whatever the caller has, and says where to go on.

use letterhead_context::{Caller, SessionId};
use letterhead_store::{NewMessage, Owner, Role, Status, TurnRecord};
use serde_json::{Value, json};

use crate::support::a2a::{artifacts, ids, state};
use crate::support::{House, Send};

const YAML: &str = "agents: { assistant: { instructions: Hi. } }";

/// A turn of a session, as one that failed, or as one that waits for the call of its answer.
async fn turn(house: &House, session: &str, waits: bool) -> String {
    let key = Owner::from(&Caller::anonymous()).session(SessionId::parse(session).unwrap());
    let turn = house.app.store.begin(&key, std::time::Duration::from_secs(1)).await.unwrap();
    let id = turn.id().to_string();
    let mut record = TurnRecord::new("assistant");
    record.paused = waits;
    record.status = if waits { Status::Complete } else { Status::Failed };
    if waits {
        let call = json!({ "id": "c1", "type": "function", "function": { "name": "pay", "arguments": "{}" } });
        let body = json!({ "role": "assistant", "content": "", "tool_calls": [call] }).to_string();
        record.messages = vec![NewMessage::new(format!("m-{id}"), Role::Assistant, body)];
    }
    house.app.store.commit(turn, record).await.unwrap();
    id
}

async fn list(house: &House, params: Value) -> Value {
    house.a2a("ListTasks", &params).answered().await.rpc_result()
}

#[tokio::test]
async fn a_page_looks_at_a_thousand_turns_and_goes_on_from_there() {
    let house = House::alone(YAML).await;
    let oldest = turn(&house, "waiting", true).await;
    for _ in 0..1050 {
        turn(&house, "failed", false).await;
    }
    let all = list(&house, json!({ "contextId": "failed" })).await;
    assert_eq!((&all["pageSize"], &all["totalSize"]), (&json!(50), &json!(1000)));
    // Those that are wanted are behind a thousand others: the page is empty, and not the last.
    let wanted = json!({ "statusTimestampAfter": "2001-01-01T00:00:00Z", "status": "TASK_STATE_CANCELED" });
    let page = list(&house, wanted).await;
    assert_eq!((&page["pageSize"], &page["totalSize"]), (&json!(0), &json!(0)));
    let token = page["nextPageToken"].as_str().unwrap().to_owned();
    assert!(!token.is_empty());
    let rest = list(&house, json!({ "pageSize": 100, "pageToken": token })).await;
    let tasks = rest["tasks"].as_array().unwrap();
    assert_eq!((tasks.len(), &rest["nextPageToken"]), (51, &json!("")), "{rest}");
    let last = tasks.iter().find(|task| ids(task).0 == oldest).unwrap();
    assert_eq!(state(last), "INPUT_REQUIRED");
}

#[tokio::test]
async fn a_task_of_several_turns_is_listed_once_and_found_as_it_is_listed() {
    let house = House::alone(YAML).await;
    let mut tasks = Vec::new();
    for at in 0..4 {
        let key = Owner::from(&Caller::anonymous()).session(SessionId::parse(&format!("s-{at}")).unwrap());
        let mut ids = Vec::new();
        // Some are answered, others bring the result of a client's call, for which no task waits.
        for (number, paused) in [(1, at % 2 == 0), (2, at % 2 == 0), (3, false)] {
            let turn = house.app.store.begin(&key, std::time::Duration::from_secs(1)).await.unwrap();
            ids.push(turn.id().to_string());
            let body = json!({ "role": "assistant", "content": format!("{number}") }).to_string();
            let mut record = TurnRecord::new("assistant");
            record.messages = vec![NewMessage::new(format!("m-{number}"), Role::Assistant, body)];
            (record.paused, record.continues) = (paused, (number > 1).then_some(number - 1));
            house.app.store.commit(turn, record).await.unwrap();
        }
        tasks.insert(0, ids.remove(0));
    }
    for status in ["TASK_STATE_UNSPECIFIED", "TASK_STATE_COMPLETED"] {
        for size in [1, 3] {
            let (mut token, mut found) = (String::new(), Vec::new());
            loop {
                let page = list(&house, json!({ "status": status, "pageSize": size, "pageToken": token })).await;
                assert_eq!(page["totalSize"], 4, "{status}");
                found.extend(page["tasks"].as_array().unwrap().clone());
                token = page["nextPageToken"].as_str().unwrap().to_owned();
                if token.is_empty() {
                    break;
                }
            }
            assert_eq!(found.iter().map(|task| ids(task).0).collect::<Vec<_>>(), tasks, "{status}");
            for listed in found {
                let task = house.about("GetTask", &ids(&listed).0).answered().await.task();
                assert_eq!((&task["status"], artifacts(&task).len()), (&listed["status"], 3));
            }
        }
    }
}

#[tokio::test]
async fn what_waits_and_what_was_left_is_told_apart_on_every_page() {
    let house = House::alone(YAML).await;
    let mut waiting = Vec::new();
    for at in 0..5 {
        let session = format!("s-{at}");
        // The second turn of a session leaves behind what the first one waited for.
        turn(&house, &session, true).await;
        waiting.insert(0, turn(&house, &session, true).await);
    }
    for (status, total) in
        [("TASK_STATE_INPUT_REQUIRED", 5), ("TASK_STATE_CANCELED", 5), ("TASK_STATE_UNSPECIFIED", 10)]
    {
        let (mut token, mut found) = (String::new(), Vec::new());
        loop {
            let page = list(&house, json!({ "status": status, "pageSize": 2, "pageToken": token })).await;
            assert_eq!(page["totalSize"], total, "{status}");
            found.extend(page["tasks"].as_array().unwrap().iter().map(|task| ids(task).0));
            token = page["nextPageToken"].as_str().unwrap().to_owned();
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(found.len(), total, "{status}");
        let is_waiting = |id: &String| waiting.contains(id);
        match status {
            "TASK_STATE_INPUT_REQUIRED" => assert_eq!(found, waiting),
            "TASK_STATE_CANCELED" => assert!(!found.iter().any(is_waiting)),
            _ => assert_eq!(found.iter().filter(|id| is_waiting(id)).count(), 5),
        }
    }
}
