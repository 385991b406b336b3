//! What every store has to do. Each file of tests that has a store to offer runs all of it.

pub(crate) mod api_keys;
pub(crate) mod deletion;
pub(crate) mod documents;
pub(crate) mod headers;
pub(crate) mod history;
pub(crate) mod idempotency;
pub(crate) mod isolation;
pub(crate) mod lists;
pub(crate) mod past_turns;
pub(crate) mod turns;
pub(crate) mod variables;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use letterhead_context::{DestinationKind, Layer, SessionId, TenantId, TrailEntry, UserId};
use letterhead_store::{
    FixedClock, HeaderChange, Lifetimes, Message, NewMessage, Owner, Page, Role, Session, SessionKey, Store,
    StoreError, Turn, TurnRecord,
};
use serde_json::{Value, json};

/// When the tests begin, in Unix milliseconds.
pub(crate) const START: i64 = 1_700_000_000_000;

/// A store and what belongs to it.
pub(crate) struct House {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<FixedClock>,
    /// Whatever has to live as long.
    pub(crate) _keep: Option<tempfile::TempDir>,
}

/// Opens an empty store.
pub(crate) type Open = fn(Lifetimes) -> House;

/// Makes a test of each behaviour, with the attribute given, for the stores that `$open` opens.
#[macro_export]
macro_rules! conformance {
    ($open:path, $(#[$test:meta])+) => {
        $crate::conformance!(@each $open, { $(#[$test])+ }
            history: [
                a_turn_comes_back_whole history_grows_in_order an_incomplete_turn_is_history
                a_failed_turn_is_listed_and_leaves_the_conversation_as_it_was a_failed_first_turn_makes_the_session
                failed_messages_give_up_their_ids an_id_that_is_taken_is_refused_and_nothing_written
                a_cut_removes_the_newest_messages a_message_is_replaced_by_cutting_before_it
                a_failed_turn_cuts_nothing state_stays_until_it_is_replaced times_are_those_of_the_clock
                sessions_expire_as_a_whole
            ]
            headers: [
                the_one_sent_wins_and_the_others_stay an_empty_one_clears they_expire_counted_from_when_they_were_sent
                secrets_expire_sooner a_clock_that_is_set_back_lengthens_no_life a_field_may_become_a_secret_and_back a_failed_turn_remembers_what_was_sent
                debug_never_shows_a_value
            ]
            variables: [
                they_come_back_whole a_newer_one_replaces_that_of_its_name_alone they_are_kept_however_the_turn_ends
                they_expire_at_their_time they_go_with_their_session they_are_their_callers_alone
                a_refused_commit_keeps_none a_header_and_a_variable_of_one_name_are_two debug_never_shows_one
            ]
            turns: [
                one_at_a_time_in_the_order_of_asking busy_when_the_wait_is_over dropping_a_turn_lets_the_next_in
                a_refused_commit_lets_the_next_in other_sessions_do_not_wait a_new_session_needs_no_look
                a_new_session_that_is_not_new_is_refused_and_the_old_one_unharmed
                many_turns_at_once_lose_nothing what_comes_after_closing_is_refused
            ]
            past_turns: [
                a_turn_is_found_by_its_id_with_all_that_is_kept_of_it a_turn_that_runs_is_seen_until_it_ends
                turns_come_newest_first_in_pages turns_are_filtered
                a_turn_that_goes_on_with_a_paused_one_names_the_first a_turn_is_paused_while_it_waits
                why_a_turn_failed_is_kept_with_it a_turn_that_runs_names_the_one_it_goes_on_with
                of_a_task_of_several_turns_the_last_is_listed what_lasts_is_history_though_its_turn_failed
                turns_are_their_owners_alone_and_go_with_their_session
            ]
            deletion: [
                all_of_it_goes a_running_turn_cannot_bring_it_back a_session_that_is_only_about_to_be_is_deleted_too
                what_is_not_there_is_not_deleted
            ]
            lists: [
                sessions_come_newest_first_in_pages sessions_are_filtered_by_mode_and_client
                a_summary_names_the_headers messages_come_oldest_first_in_pages trails_come_in_pages_of_turns
                an_unknown_cursor_is_refused
            ]
            api_keys: [
                they_come_back_whole_in_the_order_of_their_making an_id_is_given_once
                a_revoked_one_stays_and_keeps_its_time
            ]
            idempotency: [
                the_answer_of_the_first_is_that_of_all what_was_not_answered_is_free_again
                an_answer_comes_with_its_turn_or_not_at_all answers_of_turns_go_with_their_session
                an_answer_is_kept_for_a_day what_is_kept_with_a_session_is_there_as_long_as_that
                a_key_is_its_callers_and_its_sessions_alone
                debug_shows_no_answer_and_no_key
            ]
            documents: [
                a_document_comes_back_whole_and_the_next_writing_replaces_it
                own_ones_come_before_shared_ones_of_the_same_key documents_come_by_key_in_pages
                documents_are_listed_by_tag several_are_written_together_or_not_at_all
                a_condition_holds_or_nothing_is_written of_writers_at_once_one_wins_each_revision
                a_closed_store_has_no_documents random_use_of_documents_agrees_with_a_simple_model
            ]
            isolation: [ equal_ids_of_other_callers_are_other_sessions random_use_agrees_with_a_simple_model ]
        );
    };
    (@each $open:path, $tests:tt $($module:ident: [$($name:ident)+])+) => {
        $($( $crate::conformance!(@one $open, $tests $module $name); )+)+
    };
    (@one $open:path, { $(#[$test:meta])+ } $module:ident $name:ident) => {
        $(#[$test])+
        async fn $name() {
            $crate::conformance::$module::$name($open).await;
        }
    };
}

impl House {
    pub(crate) async fn begin(&self, key: &SessionKey) -> Turn {
        self.store.begin(key, Duration::ZERO).await.unwrap()
    }

    /// A whole turn.
    pub(crate) async fn turn(&self, key: &SessionKey, record: TurnRecord) -> Arc<Session> {
        self.try_turn(key, record).await.unwrap()
    }

    pub(crate) async fn try_turn(&self, key: &SessionKey, record: TurnRecord) -> Result<Arc<Session>, StoreError> {
        let turn = self.begin(key).await;
        self.store.commit(turn, record).await
    }

    pub(crate) async fn session(&self, key: &SessionKey) -> Arc<Session> {
        self.store.session(key).await.unwrap().unwrap()
    }

    /// All messages, those of failed turns included.
    pub(crate) async fn listed(&self, key: &SessionKey) -> Vec<Arc<Message>> {
        self.store.messages(key, &Page::first(500)).await.unwrap().unwrap().data
    }

    /// The session as the next turn finds it.
    pub(crate) async fn found(&self, key: &SessionKey) -> Option<Arc<Session>> {
        self.begin(key).await.session().cloned()
    }
}

pub(crate) fn open_default(open: Open) -> House {
    open(Lifetimes::default())
}

pub(crate) fn owner(tenant: &str, user: Option<&str>) -> Owner {
    Owner { tenant: TenantId::new(tenant), user: user.map(UserId::new) }
}

pub(crate) fn key(id: &str) -> SessionKey {
    owner("default", Some("ada")).session(SessionId::parse(id).unwrap())
}

pub(crate) fn user(id: &str) -> NewMessage {
    NewMessage::new(id, Role::User, format!(r#"{{"role":"user","content":"{id}"}}"#))
}

pub(crate) fn assistant(id: &str) -> NewMessage {
    NewMessage { agent: Some("assistant".into()), ..NewMessage::new(id, Role::Assistant, r#"{"role":"assistant"}"#) }
}

/// A turn in which these were said, the first by the user, the rest by the assistant.
pub(crate) fn said(ids: &[&str]) -> TurnRecord {
    let messages = ids.iter().enumerate().map(|(n, id)| if n == 0 { user(id) } else { assistant(id) });
    TurnRecord { messages: messages.collect(), ..TurnRecord::new("assistant") }
}

pub(crate) fn ids(messages: &[Arc<Message>]) -> Vec<&str> {
    messages.iter().map(|message| &*message.id).collect()
}

pub(crate) fn set(field: &str, value: impl Into<Value>) -> HeaderChange {
    HeaderChange::Set { field: field.into(), value: value.into(), secret: false }
}

pub(crate) fn set_secret(field: &str, value: impl Into<Value>) -> HeaderChange {
    HeaderChange::Set { field: field.into(), value: value.into(), secret: true }
}

pub(crate) fn sent(headers: Vec<HeaderChange>) -> TurnRecord {
    TurnRecord { headers, ..TurnRecord::new("assistant") }
}

/// The headers of a session, as an object.
pub(crate) fn headers(session: &Arc<Session>) -> Value {
    session.headers.iter().map(|header| (header.field.to_string(), header.value.clone())).collect()
}

pub(crate) fn entry(header: &str) -> TrailEntry {
    TrailEntry {
        agent: "assistant".into(),
        destination: "providers.openai".into(),
        kind: DestinationKind::Llm,
        header: header.into(),
        from: "literal".into(),
        part: None,
        layer: Layer::Agent,
        sent: false,
        reason: Some("the template names a header that is not there".into()),
    }
}

/// Some header values of every type.
pub(crate) fn some_values() -> Value {
    json!(["text", "Zoë \"quoted\"", 7, -1, 1.5, true, ["a", "b"], {"a": {"b": null}}])
}

/// Polls a future once: its output if it is ready.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context)));
    match polled.await {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
