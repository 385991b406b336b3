//! Lists and their pages.

use letterhead_context::SessionMode;
use letterhead_store::{List, Page, SessionFilter, SessionSummary, Status, StoreError, TurnRecord};

use super::{House, Open, entry, ids, key, open_default, said, set, set_secret};

fn names(list: &List<SessionSummary>) -> Vec<&str> {
    list.data.iter().map(|summary| summary.record.key.id.as_str()).collect()
}

async fn sessions(house: &House, filter: &SessionFilter, page: &Page) -> List<SessionSummary> {
    house.store.sessions(&key("any").owner(), filter, page).await.unwrap()
}

pub(crate) async fn sessions_come_newest_first_in_pages(open: Open) {
    let house = open_default(open);
    let all = SessionFilter::default();
    assert_eq!(names(&sessions(&house, &all, &Page::first(2)).await), [""; 0]);
    for n in 1..=5 {
        house.turn(&key(&format!("s{n}")), said(&["u1"])).await;
    }
    // Going on with one does not move it.
    house.turn(&key("s1"), said(&["u2"])).await;
    let first = sessions(&house, &all, &Page::first(2)).await;
    assert_eq!((names(&first), first.has_more), (vec!["s5", "s4"], true));
    // Nor does a page jump when one is added or deleted meanwhile.
    house.turn(&key("s6"), said(&["u1"])).await;
    house.store.delete(&key("s5")).await.unwrap();
    let second = sessions(&house, &all, &Page::first(2).after("s4")).await;
    assert_eq!((names(&second), second.has_more), (vec!["s3", "s2"], true));
    let third = sessions(&house, &all, &Page::first(2).after("s2")).await;
    assert_eq!((names(&third), third.has_more), (vec!["s1"], false));
    let whole = sessions(&house, &all, &Page::first(5)).await;
    assert_eq!((names(&whole), whole.has_more), (vec!["s6", "s4", "s3", "s2", "s1"], false));
}

pub(crate) async fn sessions_are_filtered_by_mode_and_client(open: Open) {
    let house = open_default(open);
    let record = |mode, client: Option<&str>| TurnRecord { mode, client_id: client.map(Into::into), ..said(&["u1"]) };
    house.turn(&key("a"), record(SessionMode::Normal, Some("web"))).await;
    house.turn(&key("b"), record(SessionMode::Evaluation, Some("web"))).await;
    house.turn(&key("c"), record(SessionMode::Evaluation, None)).await;
    let evaluation = SessionFilter { mode: Some(SessionMode::Evaluation), ..SessionFilter::default() };
    assert_eq!(names(&sessions(&house, &evaluation, &Page::default()).await), ["c", "b"]);
    let web = SessionFilter { client_id: Some("web".into()), ..SessionFilter::default() };
    assert_eq!(names(&sessions(&house, &web, &Page::default()).await), ["b", "a"]);
    let both = SessionFilter { mode: Some(SessionMode::Normal), client_id: Some("web".into()) };
    assert_eq!(names(&sessions(&house, &both, &Page::default()).await), ["a"]);
    // The cursor may name a session that the filter leaves out.
    assert_eq!(names(&sessions(&house, &web, &Page::default().after("c")).await), ["b", "a"]);
}

pub(crate) async fn a_summary_names_the_headers(open: Open) {
    let house = open_default(open);
    let record = TurnRecord { headers: vec![set("user_id", "u"), set_secret("auth_token", "t")], ..said(&["u1"]) };
    let session = house.turn(&key("s"), record).await;
    let list = sessions(&house, &SessionFilter::default(), &Page::default()).await;
    assert_eq!(list.data, [session.summary()]);
    assert_eq!(list.data[0].headers.iter().map(|name| &**name).collect::<Vec<_>>(), ["user_id", "auth_token"]);
}

pub(crate) async fn messages_come_oldest_first_in_pages(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, said(&["m1", "m2"])).await;
    house.turn(&key, TurnRecord { status: Status::Failed, ..said(&["m3"]) }).await;
    house.turn(&key, said(&["m4", "m5"])).await;
    let page = async |page: Page| house.store.messages(&key, &page).await.unwrap().unwrap();
    let first = page(Page::first(2)).await;
    assert_eq!((ids(&first.data), first.has_more), (vec!["m1", "m2"], true));
    let second = page(Page::first(2).after("m2")).await;
    assert_eq!((ids(&second.data), second.has_more), (vec!["m3", "m4"], true));
    let third = page(Page::first(2).after("m4")).await;
    assert_eq!((ids(&third.data), third.has_more), (vec!["m5"], false));
    let beyond = page(Page::first(2).after("m5")).await;
    assert_eq!((ids(&beyond.data), beyond.has_more), (vec![], false));
}

pub(crate) async fn trails_come_in_pages_of_turns(open: Open) {
    let house = open_default(open);
    let key = key("s");
    for turn in 1..=4 {
        // In the second turn no header went anywhere.
        let trail = if turn == 2 { vec![] } else { vec![entry("X-A"), entry("X-B")] };
        house.turn(&key, TurnRecord { trail, ..TurnRecord::new("assistant") }).await;
    }
    let page = async |page: Page| {
        let list = house.store.trail(&key, &page).await.unwrap().unwrap();
        assert!(list.data.iter().all(|turn| turn.entries == [entry("X-A"), entry("X-B")]));
        (list.data.iter().map(|turn| turn.turn).collect::<Vec<_>>(), list.has_more)
    };
    assert_eq!(page(Page::first(2)).await, (vec![1, 3], true));
    assert_eq!(page(Page::first(2).after("3")).await, (vec![4], false));
    assert_eq!(page(Page::first(2).after("2")).await, (vec![3, 4], false));
}

pub(crate) async fn an_unknown_cursor_is_refused(open: Open) {
    let house = open_default(open);
    let key = key("s");
    house.turn(&key, said(&["u1"])).await;
    let nowhere = Page::default().after("no such entry");
    let all = SessionFilter::default();
    assert_eq!(house.store.sessions(&key.owner(), &all, &nowhere).await.err(), Some(StoreError::UnknownCursor));
    assert_eq!(house.store.messages(&key, &nowhere).await.err(), Some(StoreError::UnknownCursor));
    assert_eq!(house.store.trail(&key, &nowhere).await.err(), Some(StoreError::UnknownCursor));
}
