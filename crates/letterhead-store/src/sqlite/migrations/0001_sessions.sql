-- Times are Unix milliseconds. A migration that was released is never edited: write the next one.

CREATE TABLE sessions (
  id          INTEGER PRIMARY KEY, -- in the order of coming
  tenant_id   TEXT NOT NULL,
  user_id     TEXT,                -- NULL: nobody in particular
  session_id  TEXT NOT NULL,
  asked_agent TEXT NOT NULL,
  agent       TEXT NOT NULL,
  mode        TEXT NOT NULL,
  client_id   TEXT,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  turns       INTEGER NOT NULL,
  next_seq    INTEGER NOT NULL,
  has_failed  INTEGER NOT NULL,    -- whether there are, or were, messages of failed turns
  headers     TEXT                 -- [{field, value, sent_at}], never a secret
) STRICT;

-- A NULL is unlike any other NULL to a unique index, hence two of them.
CREATE UNIQUE INDEX sessions_of_user ON sessions (tenant_id, user_id, session_id) WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX sessions_of_nobody ON sessions (tenant_id, session_id) WHERE user_id IS NULL;
-- For lists; the id is the last column of every index.
CREATE INDEX sessions_of_owner ON sessions (tenant_id, user_id);

CREATE TABLE states (
  session INTEGER PRIMARY KEY,
  body    TEXT NOT NULL
) STRICT;

CREATE TABLE messages (
  session    INTEGER NOT NULL,
  seq        INTEGER NOT NULL,
  id         TEXT NOT NULL,
  turn       INTEGER NOT NULL,
  role       TEXT NOT NULL,
  status     TEXT NOT NULL,
  agent      TEXT,
  usage      TEXT,
  created_at INTEGER NOT NULL,
  body       TEXT NOT NULL,
  PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX messages_failed ON messages (session, id) WHERE status = 'failed';

CREATE TABLE turns (
  session  INTEGER NOT NULL,
  turn     INTEGER NOT NULL,
  status   TEXT NOT NULL,
  ended_at INTEGER NOT NULL,
  usage    TEXT,
  trail    TEXT,                   -- a list of entries, NULL where no header went anywhere
  PRIMARY KEY (session, turn)
) STRICT, WITHOUT ROWID;
