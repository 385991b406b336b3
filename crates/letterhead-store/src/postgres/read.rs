//! Reading a session, and pages of lists.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_postgres::ClientWrapper;
use letterhead_context::{SessionId, SessionMode};
use tokio_postgres::Row;
use uuid::Uuid;

use super::database::{BEGIN_READ, COMMIT, begin_for, bound, prepared};
use super::fault::Fault;
use super::key::{ByKey, Key, by_key, form, owner};
use super::row::{self, Stored, get, message_columns, session_columns};
use crate::seals::Seals;
use crate::{List, Message, Owner, Page, SessionFilter, SessionKey, StoreError, TurnTrail};

pub(super) const SESSION: ByKey = by_key!(concat!("SELECT ", session_columns!(), " FROM sessions WHERE"), "");
pub(super) const MESSAGES: ByKey = by_key!(
    concat!(
        "SELECT ",
        message_columns!(),
        " FROM messages WHERE status <> 'failed' AND session = (SELECT id FROM sessions WHERE"
    ),
    ") ORDER BY seq"
);
/// Secrets, and then variables, as rows of one form: each statement's answer is a message of its own.
pub(super) const KEPT: ByKey = by_key!(
    "WITH found AS (SELECT id FROM sessions WHERE",
    ") SELECT field, sent_at, sealed, place, NULL::bigint, true FROM secrets WHERE session = (SELECT id FROM found) \
     UNION ALL SELECT name, fetched_at, body, NULL, expires_at, sealed FROM variables WHERE session = (SELECT id FROM found) \
     ORDER BY 4 NULLS LAST"
);
const PLACE: ByKey = by_key!("SELECT id FROM sessions WHERE updated_at > $4 AND", "");

/// What is read of a session, before anybody has looked into it.
pub(super) struct Rows {
    pub(super) session: Option<Row>,
    pub(super) messages: Vec<Row>,
    pub(super) kept: Vec<Row>,
}

impl Rows {
    /// The session that they make. None where there is none.
    pub(super) fn into_stored(self, key: &SessionKey, seals: &Seals) -> Result<Option<Stored>, Fault> {
        let Some(session) = self.session else { return Ok(None) };
        let mut stored = row::stored(&session, &key.owner())?;
        stored.session.messages = self.messages.iter().map(row::message).collect::<Result<_, _>>()?;
        for row in &self.kept {
            if get::<Option<i64>>(row, 3)?.is_some() {
                let (secret, is_stale) = row::secret(row, key, seals)?;
                stored.session.headers.extend(secret);
                stored.place.has_stale_secrets |= is_stale;
            } else {
                stored.session.variables.extend(row::variable(row, key, seals)?);
            }
        }
        stored.session.variables.sort_unstable_by(|one, two| one.name.cmp(&two.name));
        Ok(Some(stored))
    }
}

/// A whole session, as it is at one moment, in one round trip.
pub(super) async fn session(client: &ClientWrapper, key: &SessionKey, seals: &Seals) -> Result<Option<Stored>, Fault> {
    let of = |forms| form(key.user.as_ref(), forms);
    let [session, messages, kept] = prepared(client, [of(SESSION), of(MESSAGES), of(KEPT)]).await?;
    let Key { tenant, session: id, user } = Key::of(key);
    let begin = begin_for(BEGIN_READ, tenant);
    let found = tokio::join!(biased;
        client.batch_execute(&begin),
        async { client.query_opt(&session, &[&tenant, &id, &user]).await },
        async { client.query(&messages, &[&tenant, &id, &user]).await },
        async { client.query(&kept, &[&tenant, &id, &user]).await },
        client.batch_execute(COMMIT),
    );
    let (begun, session, messages, kept, committed) = found;
    begun?;
    let rows = Rows { session: session?, messages: messages?, kept: kept? };
    committed?;
    rows.into_stored(key, seals)
}

/// The row of a session that was written after the horizon.
pub(super) async fn place(client: &ClientWrapper, key: &SessionKey, horizon_ms: i64) -> Result<Option<Uuid>, Fault> {
    let [place] = prepared(client, [form(key.user.as_ref(), PLACE)]).await?;
    let Key { tenant, session, user } = Key::of(key);
    let row = client.query_opt(&place, &[&tenant, &session, &user, &horizon_ms]).await?;
    Ok(row.map(|row| get(&row, 0)).transpose()?)
}

const LIST: [&str; 2] = [
    concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND ($3::uuid IS NULL OR id < $3) AND updated_at > $4 \
         AND ($5::text IS NULL OR mode = $5) AND ($6::text IS NULL OR client_id = $6) ORDER BY id DESC LIMIT $7"
    ),
    concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions WHERE tenant_id = $1 AND user_id IS NULL AND $2::text IS NULL \
         AND ($3::uuid IS NULL OR id < $3) AND updated_at > $4 \
         AND ($5::text IS NULL OR mode = $5) AND ($6::text IS NULL OR client_id = $6) ORDER BY id DESC LIMIT $7"
    ),
];
const SECRETS_OF_MANY: &str =
    "SELECT field, sent_at, sealed, session FROM secrets WHERE session = ANY($1) ORDER BY place";

/// A page of an owner's sessions, without their messages.
pub(super) async fn list(
    client: &ClientWrapper,
    of: &Owner,
    filter: &SessionFilter,
    page: &Page,
    horizon_ms: i64,
    seals: &Seals,
) -> Result<List<Stored>, Fault> {
    // PostgreSQL has no text with this character, so that no client can be called so.
    if filter.client_id.as_deref().is_some_and(|id| id.contains('\0')) {
        return Ok(List::cut(Vec::new(), page.limit()));
    }
    let (tenant, user) = owner(of);
    let work = async {
        let before = match page.cursor() {
            None => None,
            Some(id) => {
                let id = SessionId::parse(id).map_err(|_| StoreError::UnknownCursor)?;
                let place = place(client, &of.session(id), i64::MIN).await?;
                Some(place.ok_or(StoreError::UnknownCursor)?)
            }
        };
        let [list, secrets] = prepared(client, [form(of.user.as_ref(), LIST), SECRETS_OF_MANY]).await?;
        let mode = filter.mode.map(SessionMode::as_str);
        let wanted = look_up(page);
        let rows = client
            .query(&list, &[&tenant, &user, &before, &horizon_ms, &mode, &filter.client_id.as_deref(), &wanted])
            .await?;
        let mut found = rows.iter().map(|row| row::stored(row, of)).collect::<Result<Vec<_>, _>>()?;
        if seals.are_kept() && !found.is_empty() {
            let places: Vec<Uuid> = found.iter().map(|stored| stored.place.row).collect();
            let index: HashMap<Uuid, usize> = places.iter().enumerate().map(|(at, row)| (*row, at)).collect();
            for row in &client.query(&secrets, &[&places]).await? {
                let at = index.get(&get::<Uuid>(row, 3)?).copied();
                if let Some(stored) = at.and_then(|at| found.get_mut(at)) {
                    let (secret, _) = row::secret(row, &stored.session.record.key, seals)?;
                    stored.session.headers.extend(secret);
                }
            }
        }
        Ok(List::cut(found, page.limit()))
    };
    bound(client, BEGIN_READ, &of.tenant, work).await
}

const CURSOR: &str = "SELECT seq FROM messages WHERE session = $1 AND id = $2";
const MESSAGES_AFTER: &str =
    concat!("SELECT ", message_columns!(), " FROM messages WHERE session = $1 AND seq > $2 ORDER BY seq LIMIT $3");

/// A page of a session's messages. None where there is no session that was written after the horizon.
pub(super) async fn messages(
    client: &ClientWrapper,
    key: &SessionKey,
    page: &Page,
    horizon_ms: i64,
) -> Result<Option<List<Arc<Message>>>, Fault> {
    let work = async {
        let Some(session) = place(client, key, horizon_ms).await? else { return Ok(None) };
        let [cursor, messages] = prepared(client, [CURSOR, MESSAGES_AFTER]).await?;
        let after: i64 = match page.cursor() {
            None => -1,
            // PostgreSQL has no text with this character, so that no message can be called so.
            Some(id) if id.contains('\0') => return Err(StoreError::UnknownCursor.into()),
            Some(id) => {
                let row = client.query_opt(&cursor, &[&session, &id]).await?;
                get(&row.ok_or(StoreError::UnknownCursor)?, 0)?
            }
        };
        let rows = client.query(&messages, &[&session, &after, &look_up(page)]).await?;
        let messages = rows.iter().map(row::message).collect::<Result<_, _>>()?;
        Ok(Some(List::cut(messages, page.limit())))
    };
    bound(client, BEGIN_READ, &key.tenant, work).await
}

const TRAIL_AFTER: &str = "SELECT turn, trail FROM turns WHERE session = $1 AND turn > $2 AND trail IS NOT NULL \
                           ORDER BY turn LIMIT $3";

/// A page of a session's trail. None where there is no session that was written after the horizon.
pub(super) async fn trail(
    client: &ClientWrapper,
    key: &SessionKey,
    page: &Page,
    horizon_ms: i64,
) -> Result<Option<List<TurnTrail>>, Fault> {
    let after = page.cursor().map_or(Ok(0), str::parse::<i64>).map_err(|_| StoreError::UnknownCursor)?;
    let work = async {
        let Some(session) = place(client, key, horizon_ms).await? else { return Ok(None) };
        let [trail] = prepared(client, [TRAIL_AFTER]).await?;
        let rows = client.query(&trail, &[&session, &after, &look_up(page)]).await?;
        let trails = rows.iter().map(row::turn_trail).collect::<Result<_, _>>()?;
        Ok(Some(List::cut(trails, page.limit())))
    };
    bound(client, BEGIN_READ, &key.tenant, work).await
}

/// How many entries to look up, to know whether there are more than the page holds.
pub(super) fn look_up(page: &Page) -> i64 {
    i64::try_from(page.limit() + 1).unwrap_or(i64::MAX)
}
