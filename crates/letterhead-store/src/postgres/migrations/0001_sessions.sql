-- Times are Unix milliseconds, but for leases: those are by the database's clock. A migration that was released is never
-- edited: write the next one. It runs in one transaction where the database can do that, and may be run again where it
-- cannot. Nothing here that only PostgreSQL itself has: no sequences, no triggers, no advisory locks.

CREATE TABLE IF NOT EXISTS sessions (
  id          uuid PRIMARY KEY,    -- version 7, made by the node: in the order of coming
  tenant_id   text NOT NULL CHECK (tenant_id <> ''),
  user_id     text,                -- NULL: nobody in particular
  session_id  text NOT NULL,
  asked_agent text NOT NULL,
  agent       text NOT NULL,
  mode        text NOT NULL,
  client_id   text,
  created_at  bigint NOT NULL,
  updated_at  bigint NOT NULL,
  turns       bigint NOT NULL,
  next_seq    bigint NOT NULL,
  has_failed  boolean NOT NULL,    -- whether there are, or were, messages of failed turns
  node        uuid NOT NULL,       -- which node wrote it last: no other has secrets of it in memory that still hold
  headers     text,                -- [{field, value, sent_at}], never a secret
  state       text
);

-- A NULL is unlike any other NULL to a unique index, hence two of them.
CREATE UNIQUE INDEX IF NOT EXISTS sessions_of_user ON sessions (tenant_id, session_id, user_id)
  WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS sessions_of_nobody ON sessions (tenant_id, session_id) WHERE user_id IS NULL;
-- For lists, and for removing those that have expired.
CREATE INDEX IF NOT EXISTS sessions_of_owner ON sessions (tenant_id, user_id, id);
CREATE INDEX IF NOT EXISTS sessions_by_age ON sessions (updated_at);

CREATE TABLE IF NOT EXISTS messages (
  session    uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  seq        bigint NOT NULL,
  tenant_id  text NOT NULL,
  id         text NOT NULL,
  turn       bigint NOT NULL,
  role       text NOT NULL,
  status     text NOT NULL,
  agent      text,
  usage      text,
  created_at bigint NOT NULL,
  body       text NOT NULL,
  PRIMARY KEY (session, seq)
);

CREATE INDEX IF NOT EXISTS messages_failed ON messages (session, id) WHERE status = 'failed';

CREATE TABLE IF NOT EXISTS turns (
  session   uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  turn      bigint NOT NULL,
  tenant_id text NOT NULL,
  lease     uuid NOT NULL,         -- under which it was written, or was lost
  status    text NOT NULL,         -- 'incomplete' also where its node died
  ended_at  bigint NOT NULL,
  usage     text,
  trail     text,                  -- a list of entries, NULL where no header went anywhere
  PRIMARY KEY (session, turn)
);

-- Secret headers, encrypted (see `vault.rs` for the form). Without a key there are none.
CREATE TABLE IF NOT EXISTS secrets (
  session   uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  field     text NOT NULL,
  place     bigint NOT NULL,       -- in the order of coming
  tenant_id text NOT NULL,
  sent_at   bigint NOT NULL,
  sealed    bytea NOT NULL,
  PRIMARY KEY (session, field)
);

CREATE INDEX IF NOT EXISTS secrets_by_age ON secrets (sent_at);

-- Context variables that sessions keep.
CREATE TABLE IF NOT EXISTS variables (
  session    uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  name       text NOT NULL,
  tenant_id  text NOT NULL,
  fetched_at bigint NOT NULL,
  expires_at bigint,               -- NULL: it lives as long as its session
  sealed     boolean NOT NULL,     -- whether the body is encrypted
  body       bytea NOT NULL,       -- the fingerprint of its request (32 bytes), then its value as JSON
  PRIMARY KEY (session, name)
);

CREATE INDEX IF NOT EXISTS variables_by_age ON variables (expires_at) WHERE expires_at IS NOT NULL;

-- Turns that run. A node has one for a while, by the database's clock, and renews it.
CREATE TABLE IF NOT EXISTS leases (
  token      uuid PRIMARY KEY,     -- of this one turn: who has another one cannot write
  tenant_id  text NOT NULL CHECK (tenant_id <> ''),
  user_id    text,
  session_id text NOT NULL,
  node       uuid NOT NULL,
  expires_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX IF NOT EXISTS leases_of_user ON leases (tenant_id, session_id, user_id) WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS leases_of_nobody ON leases (tenant_id, session_id) WHERE user_id IS NULL;
CREATE INDEX IF NOT EXISTS leases_by_age ON leases (expires_at);

-- Requests with an `Idempotency-Key`: being worked on, or answered.
CREATE TABLE IF NOT EXISTS answers (
  tenant_id  text NOT NULL CHECK (tenant_id <> ''),
  scope      bytea NOT NULL,       -- SHA-256 of user, session as sent, and key, each behind its length
  request    bytea NOT NULL,       -- a hash of it
  lease      uuid NOT NULL,        -- of the claim
  expires_at timestamptz NOT NULL, -- of the claim
  session    uuid REFERENCES sessions (id) ON DELETE CASCADE, -- whose turn it was; NULL where none was stored
  given_at   bigint,               -- NULL: it is being worked on
  body       bytea,
  PRIMARY KEY (tenant_id, scope)
);

CREATE INDEX IF NOT EXISTS answers_claimed ON answers (lease) WHERE given_at IS NULL;
CREATE INDEX IF NOT EXISTS answers_by_age ON answers (given_at) WHERE given_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS answers_of_session ON answers (session) WHERE session IS NOT NULL;

-- API keys. Of their secrets there are only hashes. They stand above the tenants: who shows one says by it whose it is.
CREATE TABLE IF NOT EXISTS api_keys (
  id            text PRIMARY KEY,
  place         uuid NOT NULL,     -- version 7: in the order of coming
  name          text NOT NULL,
  tenant_id     text NOT NULL,
  scopes        text NOT NULL,     -- a JSON list
  on_behalf     boolean NOT NULL,
  created_at    bigint NOT NULL,
  expires_at    bigint,            -- NULL: never
  revoked_at    bigint,            -- NULL: not revoked
  secret_sha256 bytea NOT NULL
);
