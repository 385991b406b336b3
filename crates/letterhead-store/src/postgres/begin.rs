//! Beginning a turn: the lease and the session in one round trip.

use deadpool_postgres::ClientWrapper;
use letterhead_context::UserId;
use tokio_postgres::Statement;
use uuid::Uuid;

use super::database::{BEGIN, COMMIT, begin_for, bound, prepared};
use super::fault::Fault;
use super::key::{ByKey, Key, by_key, form};
use super::lease::Lease;
use super::read::{KEPT, MESSAGES, Rows, SESSION};
use super::row::{Stored, get};
use crate::SessionKey;
use crate::seals::Seals;

/// Takes the lease where nobody has it, and says who has it then: its token, and whether it has run out. One that this node
/// has is a leftover of a turn that was given up: within a node turns wait for each other before they ask for a lease.
macro_rules! lease {
    ($user:literal, $unique:literal, $is_user:literal) => {
        concat!(
            "WITH taken AS (INSERT INTO leases (tenant_id, session_id, user_id, token, node, expires_at) VALUES ($1, $2, ",
            $user,
            ", $4, $5, now() + $6::float8 * interval '1 millisecond') ON CONFLICT ",
            $unique,
            " DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at, continues = NULL \
             WHERE leases.node = excluded.node RETURNING token) \
             SELECT token, false FROM taken UNION ALL SELECT token, expires_at <= now() FROM leases \
             WHERE NOT EXISTS (SELECT 1 FROM taken) AND tenant_id = $1 AND session_id = $2 AND ",
            $is_user
        )
    };
}
const LEASE: ByKey = [
    lease!("$3", "(tenant_id, session_id, user_id) WHERE user_id IS NOT NULL", "user_id = $3"),
    lease!("$3::text", "(tenant_id, session_id) WHERE user_id IS NULL", "user_id IS NULL"),
];

/// What came of it.
pub(super) enum Attempt {
    /// The turn may begin, on this session.
    Begun(Option<Box<Stored>>),
    /// Another node has a turn of the session.
    Busy,
    /// Another node had one, and its lease has run out.
    Abandoned(Uuid),
}

/// Asks for the lease and reads the session. One that is sure to be new is not looked for.
pub(super) async fn begin(
    client: &ClientWrapper,
    key: &SessionKey,
    lease: &Lease,
    is_new: bool,
    seals: &Seals,
) -> Result<Attempt, Fault> {
    let of = |forms| form(key.user.as_ref(), forms);
    let [take] = prepared(client, [of(LEASE)]).await?;
    let reads = match is_new {
        true => None,
        false => Some(prepared(client, [of(SESSION), of(MESSAGES), of(KEPT)]).await?),
    };
    let [session, messages, kept] = reads.as_ref().map_or([None; 3], |reads| reads.each_ref().map(Some));
    let Key { tenant, session: id, user } = Key::of(key);
    let (token, node, term_ms) = (lease.token(), lease.node(), lease.term_ms());
    let read = async |statement: Option<&Statement>| match statement {
        None => Ok(Vec::new()),
        Some(statement) => client.query(statement, &[&tenant, &id, &user]).await,
    };
    let begin = begin_for(BEGIN, tenant);
    let found = tokio::join!(biased;
        client.batch_execute(&begin),
        async { client.query_opt(&take, &[&tenant, &id, &user, &token, &node, &term_ms]).await },
        read(session),
        read(messages),
        read(kept),
        client.batch_execute(COMMIT),
    );
    let (begun, holder, session, messages, kept, committed) = found;
    begun?;
    let holder = holder?;
    let rows = Rows { session: session?.pop(), messages: messages?, kept: kept? };
    committed?;
    match holder {
        Some(row) if get::<Uuid>(&row, 0)? == token => {
            lease.granted();
            Ok(Attempt::Begun(rows.into_stored(key, seals)?.map(Box::new)))
        }
        Some(row) if get(&row, 1)? => Ok(Attempt::Abandoned(get(&row, 0)?)),
        // Where none is seen it was taken or given back just now.
        _ => Ok(Attempt::Busy),
    }
}

/// Releases the turn of a node that is dead, or was silent for too long, and marks it in the session.
const ABANDON: ByKey = by_key!(
    "WITH gone AS (DELETE FROM leases WHERE token = $4 AND expires_at <= now() RETURNING token), \
     marked AS (UPDATE sessions SET turns = turns + 1 WHERE EXISTS (SELECT 1 FROM gone) AND",
    "RETURNING id, turns) \
     INSERT INTO turns (session, turn, tenant_id, lease, status, ended_at) \
     SELECT id, turns, $1, $4, 'incomplete', $5 FROM marked"
);

/// Releases an abandoned turn. Whoever comes second finds nothing left to do.
pub(super) async fn abandon(client: &ClientWrapper, key: &SessionKey, token: Uuid, now_ms: i64) -> Result<(), Fault> {
    let work = async {
        let [abandon] = prepared(client, [form(key.user.as_ref(), ABANDON)]).await?;
        let (tenant, session, user) = (key.tenant.as_str(), key.id.as_str(), key.user.as_ref().map(UserId::as_str));
        client.execute(&abandon, &[&tenant, &session, &user, &token, &now_ms]).await?;
        Ok(())
    };
    bound(client, BEGIN, &key.tenant, work).await
}
