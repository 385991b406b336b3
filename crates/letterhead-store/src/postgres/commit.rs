//! Ending a turn: all that it wrote, and the end of its lease, in one round trip.

use deadpool_postgres::ClientWrapper;
use uuid::Uuid;

use super::answers::{self, KEEP};
use super::database::{BEGIN, bound, prepared};
use super::fault::Fault;
use super::key::{ByKey, Key, by_key, form};
use super::lease::Lease;
use super::pipeline::Writing;
use super::row::Place;
use crate::advance::{Step, fresh_id};
use crate::columns::{self, child_rows, header_rows, to_json};
use crate::seals::{SealedHeader, VariableRow};
use crate::{KeptAnswer, SessionKey, StoreError};

/// Keeps others off the lease, as the statements do that end it.
const LOCK_LEASE: &str = "SELECT 1 FROM leases WHERE token = $1 FOR UPDATE";
/// Removes a session of the same key that has expired.
const REMOVE: &str = "DELETE FROM sessions WHERE id = $1";
/// Ends the lease, and refuses everything where it is not ours any more or has run out; then writes the session, and refuses
/// everything where it is gone. In this order: whoever takes a lease or a session away locks them so too.
macro_rules! end_lease_and {
    ($token:literal, $write:expr) => {
        concat!(
            "WITH ended AS (DELETE FROM leases WHERE token = ",
            $token,
            " AND expires_at > clock_timestamp() RETURNING 1), written AS (",
            $write,
            " RETURNING 1) SELECT 1 / (SELECT count(*) FROM ended), 1 / (SELECT count(*) FROM written)"
        )
    };
}
const INSERT_SESSION: &str = end_lease_and!(
    "$17",
    "INSERT INTO sessions (id, tenant_id, user_id, session_id, asked_agent, agent, mode, client_id, created_at, updated_at, \
     turns, next_seq, has_failed, node, headers, state) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
);
const UPDATE_SESSION: &str = end_lease_and!(
    "$14",
    "UPDATE sessions SET asked_agent = $2, agent = $3, mode = $4, client_id = $5, updated_at = $6, \
     turns = $7, next_seq = $8, has_failed = $9, node = $10, headers = $11, \
     state = CASE WHEN $12 THEN $13 ELSE state END WHERE id = $1"
);
const CUT: &str = "DELETE FROM messages WHERE session = $1 AND seq >= $2";
/// Failed messages give up their ids to messages that are added now.
const YIELD: &str = "\
    UPDATE messages SET id = taken.fresh FROM unnest($2::text[], $3::text[]) AS taken (id, fresh) \
    WHERE messages.session = $1 AND messages.id = taken.id AND messages.status = 'failed'";
const REMOVE_SECRETS: &str = "DELETE FROM secrets WHERE session = $1";
const REMOVE_VARIABLES: &str = "DELETE FROM variables WHERE session = $1 AND name = ANY($2)";
/// All that is new, in one statement: the database answers each by itself, and each answer wakes us up.
const INSERT_TURN: &str = "\
    WITH said AS (\
      INSERT INTO messages (session, tenant_id, seq, id, turn, role, status, agent, usage, created_at, body) \
      SELECT $1, $2, new.* FROM unnest($3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], \
      $9::text[], $10::bigint[], $11::text[]) AS new), \
    hidden AS (\
      INSERT INTO secrets (session, tenant_id, place, field, sent_at, sealed) \
      SELECT $1, $2, new.* FROM unnest($12::bigint[], $13::text[], $14::bigint[], $15::bytea[]) AS new), \
    fetched AS (\
      INSERT INTO variables (session, tenant_id, name, fetched_at, expires_at, sealed, body) \
      SELECT $1, $2, new.* FROM unnest($16::text[], $17::bigint[], $18::bigint[], $19::boolean[], $20::bytea[]) AS new) \
    INSERT INTO turns (session, turn, tenant_id, lease, status, ended_at, usage, trail, agent, children, error, continues) \
    VALUES ($1, $21, $2, $22, $23, $24, $25, $26, $27, $28, $29, \
    (SELECT coalesce(continues, lease) FROM turns WHERE session = $1 AND turn = $30))";

/// All that a turn writes.
pub(super) struct Commit {
    pub(super) key: SessionKey,
    pub(super) step: Step,
    /// Where its session stands; none for a new one.
    pub(super) before: Option<Place>,
    /// Where it will stand.
    pub(super) after: Place,
    /// A session of the same key that has expired, to be removed first.
    pub(super) expired: Option<Uuid>,
    /// The secrets that replace those in the database; none where they stay.
    pub(super) sealed: Option<Vec<SealedHeader>>,
    pub(super) variables: Vec<VariableRow>,
    pub(super) answer: Option<KeptAnswer>,
}

/// New messages, a column each.
struct Messages<'a> {
    seqs: Vec<i64>,
    ids: Vec<&'a str>,
    turns: Vec<i64>,
    roles: Vec<&'a str>,
    statuses: Vec<&'a str>,
    agents: Vec<Option<&'a str>>,
    usages: Vec<Option<String>>,
    times: Vec<i64>,
    bodies: Vec<&'a str>,
}

impl<'a> Messages<'a> {
    fn of(step: &'a Step) -> Result<Self, StoreError> {
        let added = &step.added;
        Ok(Self {
            seqs: added.iter().map(|message| message.seq.cast_signed()).collect(),
            ids: added.iter().map(|message| &*message.id).collect(),
            turns: added.iter().map(|message| message.turn.cast_signed()).collect(),
            roles: added.iter().map(|message| message.role.as_str()).collect(),
            statuses: added.iter().map(|message| message.status.as_str()).collect(),
            agents: added.iter().map(|message| message.agent.as_deref()).collect(),
            usages: added.iter().map(|message| columns::usage(message.usage.as_ref())).collect::<Result<_, _>>()?,
            times: added.iter().map(|message| message.created_at_ms).collect(),
            bodies: added.iter().map(|message| &*message.body).collect(),
        })
    }
}

impl Commit {
    /// Writes it, all or nothing.
    pub(super) async fn write(&self, client: &ClientWrapper, lease: &Lease) -> Result<(), Fault> {
        let Self { key, step, before, after, expired, sealed, variables, answer } = self;
        let Key { tenant, session: id, user } = Key::of(key);
        let (token, row, record) = (lease.token(), after.row, &step.session.record);
        let (created_at, now) = (record.created_at_ms, record.updated_at_ms);
        let (turns, next_seq) = (step.session.turns.cast_signed(), after.next_seq.cast_signed());
        let (asked_agent, agent, client_id) = (&*record.asked_agent, &*record.agent, record.client_id.as_deref());
        let (mode, state, has_failed, node) =
            (record.mode.as_str(), step.session.state.as_deref(), after.has_failed, after.node);
        let headers = header_rows(&step.session.headers)?;
        let is_new = before.is_none();
        let cut_from = step.cut_from.map(u64::cast_signed);
        let new = Messages::of(step)?;
        let yields = before.is_some_and(|place| place.has_failed) && !new.ids.is_empty();
        let fresh: Vec<String> = new.ids.iter().filter(|_| yields).map(|_| fresh_id().to_string()).collect();
        let secrets = Secrets::of(sealed.as_deref().unwrap_or_default());
        let changed: Vec<&str> = variables.iter().map(|variable| &*variable.name).collect();
        let kept = Variables::of(variables);
        let kept_answer = answer.as_ref().map(|answer| (answers::scope(&answer.key), answer.lease, &*answer.body));
        let (scope, claim, body) = kept_answer.unwrap_or_default();
        let kept_for = Some(row);
        let ended = &step.ended;
        let usage = columns::usage(ended.usage.as_ref())?;
        let trail = columns::stops(&step.trail)?;
        let (status, by, children) = (ended.status.as_str(), &*ended.agent, child_rows(&ended.children)?);
        let (error, continues) =
            (ended.error.as_ref().map(to_json).transpose()?, ended.continues.map(u64::cast_signed));

        let mut turn = Writing::of(tenant);
        if let Some(expired) = expired {
            turn.add(LOCK_LEASE, &[&token]);
            turn.add(REMOVE, &[expired]);
        }
        if is_new {
            turn.add(
                INSERT_SESSION,
                &[
                    &row,
                    &tenant,
                    &user,
                    &id,
                    &asked_agent,
                    &agent,
                    &mode,
                    &client_id,
                    &created_at,
                    &now,
                    &turns,
                    &next_seq,
                    &has_failed,
                    &node,
                    &headers,
                    &state,
                    &token,
                ],
            );
        } else {
            turn.add(
                UPDATE_SESSION,
                &[
                    &row,
                    &asked_agent,
                    &agent,
                    &mode,
                    &client_id,
                    &now,
                    &turns,
                    &next_seq,
                    &has_failed,
                    &node,
                    &headers,
                    &step.state_changed,
                    &state,
                    &token,
                ],
            );
        }
        if cut_from.is_some() {
            turn.add(CUT, &[&row, &cut_from]);
        }
        if yields {
            turn.add(YIELD, &[&row, &new.ids, &fresh]);
        }
        if sealed.is_some() && !is_new {
            turn.add(REMOVE_SECRETS, &[&row]);
        }
        if !changed.is_empty() && !is_new {
            turn.add(REMOVE_VARIABLES, &[&row, &changed]);
        }
        turn.add(
            INSERT_TURN,
            &[
                &row,
                &tenant,
                &new.seqs,
                &new.ids,
                &new.turns,
                &new.roles,
                &new.statuses,
                &new.agents,
                &new.usages,
                &new.times,
                &new.bodies,
                &secrets.places,
                &secrets.fields,
                &secrets.times,
                &secrets.bytes,
                &kept.names,
                &kept.fetched,
                &kept.expire,
                &kept.are_sealed,
                &kept.bodies,
                &turns,
                &token,
                &status,
                &now,
                &usage,
                &trail,
                &by,
                &children,
                &error,
                &continues,
            ],
        );
        if answer.is_some() {
            turn.add(KEEP, &[&tenant, &scope, &claim, &now, &kept_for, &body]);
        }
        turn.commit(client).await
    }

    /// Whether it was written, where a connection broke before that was told.
    pub(super) async fn is_written(&self, client: &ClientWrapper, lease: &Lease) -> Result<bool, Fault> {
        let (row, turn, token) = (self.after.row, self.step.session.turns.cast_signed(), lease.token());
        let work = async {
            let [written] = prepared(client, [WRITTEN]).await?;
            Ok(client.query_opt(&written, &[&row, &turn, &token]).await?.is_some())
        };
        bound(client, BEGIN, &self.key.tenant, work).await
    }

    /// Whether the session is there that it was to be written to, so that it was not deleted: where it was new, whether
    /// the lease of its turn is, or a session that another node has begun in its place.
    pub(super) async fn is_still_there(&self, client: &ClientWrapper, lease: &Lease) -> Result<bool, Fault> {
        let Key { tenant, session, user } = Key::of(&self.key);
        let work = async {
            let found = if let Some(before) = &self.before {
                let [there] = prepared(client, [THERE]).await?;
                client.query_opt(&there, &[&before.row]).await?
            } else {
                let [there] = prepared(client, [form(self.key.user.as_ref(), BEGUN)]).await?;
                client.query_opt(&there, &[&tenant, &session, &user, &lease.token()]).await?
            };
            Ok(found.is_some())
        };
        bound(client, BEGIN, &self.key.tenant, work).await
    }
}

const THERE: &str = "SELECT 1 FROM sessions WHERE id = $1";
const BEGUN: ByKey = by_key!("SELECT 1 FROM leases WHERE token = $4 UNION ALL SELECT 1 FROM sessions WHERE", "LIMIT 1");
const WRITTEN: &str = "SELECT 1 FROM turns WHERE session = $1 AND turn = $2 AND lease = $3";

/// Secrets, a column each.
#[derive(Default)]
struct Secrets<'a> {
    places: Vec<i64>,
    fields: Vec<&'a str>,
    times: Vec<i64>,
    bytes: Vec<&'a [u8]>,
}

impl<'a> Secrets<'a> {
    fn of(secrets: &'a [SealedHeader]) -> Self {
        let mut columns = Self::default();
        for (place, SealedHeader { field, sent_at_ms, bytes }) in (0..).zip(secrets) {
            columns.places.push(place);
            columns.fields.push(field);
            columns.times.push(*sent_at_ms);
            columns.bytes.push(bytes);
        }
        columns
    }
}

/// Context variables that may be written, a column each.
#[derive(Default)]
struct Variables<'a> {
    names: Vec<&'a str>,
    fetched: Vec<i64>,
    expire: Vec<Option<i64>>,
    are_sealed: Vec<bool>,
    bodies: Vec<&'a [u8]>,
}

impl<'a> Variables<'a> {
    fn of(variables: &'a [VariableRow]) -> Self {
        let mut columns = Self::default();
        for variable in variables {
            let Some(body) = &variable.body else { continue };
            columns.names.push(&variable.name);
            columns.fetched.push(variable.fetched_at_ms);
            columns.expire.push(variable.expires_at_ms);
            columns.are_sealed.push(variable.is_sealed);
            columns.bodies.push(body);
        }
        columns
    }
}
