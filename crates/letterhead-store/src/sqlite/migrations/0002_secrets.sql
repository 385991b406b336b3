-- Secret headers, encrypted (see `vault.rs` for the form). Without a key there are none.
CREATE TABLE secrets (
  id      INTEGER PRIMARY KEY, -- in the order of coming
  session INTEGER NOT NULL,
  field   TEXT NOT NULL,
  sent_at INTEGER NOT NULL,
  sealed  BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX secrets_of_session ON secrets (session, field);
-- For removing those that have expired.
CREATE INDEX secrets_by_age ON secrets (sent_at);
