//! Turns in the database. One that runs has a lease, on whatever node; one that has ended has a row.

use async_trait::async_trait;
use deadpool_postgres::ClientWrapper;
use letterhead_context::{SessionId, TenantId};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::PostgresStore;
use super::database::{BEGIN, BEGIN_READ, bound, prepared};
use super::fault::Fault;
use super::key::{form, owner};
use super::read::look_up;
use super::row::{self, count, get, message_columns, optional_text};
use crate::columns::{self, from_json};
use crate::turns::{self, TurnDetail, TurnFilter, TurnStatus, TurnSummary, Turns};
use crate::{Clock as _, List, Owner, Page, StoreError, TurnId};

/// An owner's turns, those that have ended and those that run, under the columns that [`summary`] reads, for conditions on
/// the owner, and on the session where one is wanted: `$1` is the tenant, `$2` the user, `$3` the horizon, `$5` the session.
/// A turn waits as long as nothing was said after it, and what it asked was not cut off. What has a lease that has run out
/// was cut short, though nobody has released it yet, and goes on with nothing.
macro_rules! turns_of {
    ($of:expr, $behind:expr) => {
        concat!(
            "WITH owned AS NOT MATERIALIZED (SELECT id AS row, session_id, turns FROM sessions WHERE tenant_id = $1 AND ",
            $of,
            " AND updated_at > $3), \
             every AS (SELECT lease AS id, session_id, turn, agent, \
             CASE WHEN status = 'paused' AND coalesce((SELECT said.turn > turns.turn OR said.role = 'user' \
             FROM messages AS said WHERE said.session = row AND said.status <> 'failed' ORDER BY said.seq DESC LIMIT 1), \
             true) THEN CASE WHEN error IS NULL THEN 'complete' ELSE 'failed' END ELSE status END AS status, \
             continues, ended_at, usage, \
             children IS NOT NULL AS has_children, session, status = 'paused' AS asked, error \
             FROM owned JOIN turns ON session = row \
             UNION ALL SELECT token, session_id, coalesce(turns, 0) + 1, NULL, \
             CASE WHEN expires_at > now() THEN 'running' ELSE 'incomplete' END, \
             CASE WHEN expires_at > now() THEN continues END, NULL, NULL, false, NULL, false, NULL \
             FROM leases LEFT JOIN owned USING (session_id) WHERE tenant_id = $1 AND ",
            $of,
            ") SELECT id, session_id, turn, agent, status, continues, ended_at, usage, has_children, session, asked, error \
             FROM every ",
            $behind
        )
    };
}

macro_rules! forms {
    ($behind:expr) => {
        forms!("$5::text IS NULL", $behind)
    };
    ($session:expr, $behind:expr) => {
        [
            turns_of!(concat!("user_id = $2 AND ", $session), $behind),
            turns_of!(concat!("user_id IS NULL AND $2::text IS NULL AND ", $session), $behind),
        ]
    };
}

macro_rules! list {
    () => {
        "WHERE ($4::uuid IS NULL OR id < $4) AND ($6::text IS NULL OR status = $6) AND ($7::uuid IS NULL OR continues = $7) \
         AND ($8::bigint IS NULL OR ended_at IS NULL OR ended_at > $8) AND (NOT $9::boolean OR ended_at IS NULL \
         OR coalesce(continues, id) NOT IN (SELECT running.continues FROM leases AS running WHERE tenant_id = $1 \
         AND running.continues IS NOT NULL AND expires_at > now()) AND NOT EXISTS (SELECT 1 FROM turns AS later \
         WHERE later.continues = coalesce(every.continues, every.id) AND later.turn > every.turn)) \
         ORDER BY id DESC LIMIT $10"
    };
}

const LIST: [&str; 2] = forms!(list!());
/// The same for one session, by the index of its key.
const LIST_OF_SESSION: [&str; 2] = forms!("session_id = $5", list!());
const ONE: [&str; 2] = forms!("WHERE id = $4");
const GOES_ON: &str = "UPDATE leases SET continues = \
    (SELECT coalesce(continues, lease) FROM turns WHERE session = $2 AND turn = $3) WHERE token = $1";
const CHILDREN: &str = "SELECT children FROM turns WHERE session = $1 AND turn = $2";
const MESSAGES: &str =
    concat!("SELECT ", message_columns!(), " FROM messages WHERE session = $1 AND turn = $2 ORDER BY seq");

async fn list(
    client: &ClientWrapper,
    of: &Owner,
    filter: &TurnFilter,
    page: &Page,
    horizon_ms: i64,
) -> Result<List<TurnSummary>, Fault> {
    let before = turns::before(page)?.map(TurnId::uuid);
    let (tenant, user) = owner(of);
    let session = filter.session.as_ref().map(SessionId::as_str);
    let status = filter.status.map(TurnStatus::as_str);
    let continues = filter.continues.map(TurnId::uuid);
    let (after, wanted) = (filter.ended_after_ms, look_up(page));
    let work = async {
        let forms = if session.is_some() { LIST_OF_SESSION } else { LIST };
        let [list] = prepared(client, [form(of.user.as_ref(), forms)]).await?;
        let params: &[&(dyn ToSql + Sync)] = &[
            &tenant,
            &user,
            &horizon_ms,
            &before,
            &session,
            &status,
            &continues,
            &after,
            &filter.last_of_task,
            &wanted,
        ];
        let found = client.query(&list, params).await?.iter().map(summary).collect::<Result<_, _>>()?;
        Ok(List::cut(found, page.limit()))
    };
    bound(client, BEGIN_READ, &of.tenant, work).await
}

async fn one(client: &ClientWrapper, of: &Owner, id: TurnId, horizon_ms: i64) -> Result<Option<TurnDetail>, Fault> {
    let ((tenant, user), no_session) = (owner(of), None::<&str>);
    let work = async {
        let [one, children, messages] = prepared(client, [form(of.user.as_ref(), ONE), CHILDREN, MESSAGES]).await?;
        let Some(row) = client.query_opt(&one, &[&tenant, &user, &horizon_ms, &id.uuid(), &no_session]).await? else {
            return Ok(None);
        };
        let summary = summary(&row)?;
        let Some(session) = get::<Option<Uuid>>(&row, 9)? else { return Ok(Some(TurnDetail::begun(summary))) };
        let turn = summary.number.cast_signed();
        let row = client.query_opt(&children, &[&session, &turn]).await?;
        let children = row.map(|row| columns::children(get(&row, 0)?)).transpose()?.unwrap_or_default();
        let rows = client.query(&messages, &[&session, &turn]).await?;
        let messages = rows.iter().map(row::message).collect::<Result<_, _>>()?;
        Ok(Some(TurnDetail { summary, messages, children }))
    };
    bound(client, BEGIN_READ, &of.tenant, work).await
}

/// Notes which turn of a session one goes on with that runs.
pub(super) async fn goes_on(
    client: &ClientWrapper,
    tenant: &TenantId,
    token: Uuid,
    session: Uuid,
    number: u64,
) -> Result<(), Fault> {
    let work = async {
        let [goes_on] = prepared(client, [GOES_ON]).await?;
        client.execute(&goes_on, &[&token, &session, &number.cast_signed()]).await?;
        Ok(())
    };
    bound(client, BEGIN, tenant, work).await
}

fn summary(row: &Row) -> Result<TurnSummary, Fault> {
    let id = TurnId::from_uuid(get(row, 0)?);
    let session = SessionId::parse(get::<&str>(row, 1)?);
    let ended_at_ms = get::<Option<i64>>(row, 6)?;
    let usage = get::<Option<&str>>(row, 7)?;
    let error = get::<Option<&str>>(row, 11)?;
    Ok(TurnSummary {
        id,
        session: session.map_err(|_| StoreError::Corrupt { what: "the id of a session" })?,
        number: count(row, 2)?,
        agent: optional_text(row, 3)?,
        status: TurnStatus::parse(get(row, 4)?).ok_or(StoreError::Corrupt { what: "the status of a turn" })?,
        asked: get(row, 10)?,
        continues: get::<Option<Uuid>>(row, 5)?.map(TurnId::from_uuid),
        began_at_ms: id.made_at_ms().or(ended_at_ms).unwrap_or_default(),
        ended_at_ms,
        usage: usage.map(|json| from_json(json, "the usage of a turn")).transpose()?,
        error: error.map(|json| from_json(json, "the error of a turn")).transpose()?,
        has_children: get(row, 8)?,
    })
}

#[async_trait]
impl Turns for PostgresStore {
    async fn turn(&self, owner: &Owner, id: TurnId) -> Result<Option<TurnDetail>, StoreError> {
        self.open_for_business()?;
        let (owner, horizon_ms) = (owner.clone(), self.lifetimes.session_horizon(self.clock.now_ms()));
        self.database.run(move |client| Box::pin(async move { one(client, &owner, id, horizon_ms).await })).await
    }

    async fn turns(&self, owner: &Owner, filter: &TurnFilter, page: &Page) -> Result<List<TurnSummary>, StoreError> {
        self.open_for_business()?;
        let (owner, horizon_ms) = (owner.clone(), self.lifetimes.session_horizon(self.clock.now_ms()));
        let (filter, page) = (filter.clone(), page.clone());
        self.database
            .run(move |client| Box::pin(async move { list(client, &owner, &filter, &page, horizon_ms).await }))
            .await
    }
}
