-- Context variables that sessions keep.
CREATE TABLE variables (
  session    INTEGER NOT NULL,
  name       TEXT NOT NULL,
  fetched_at INTEGER NOT NULL,
  expires_at INTEGER,              -- NULL: it lives as long as its session
  sealed     INTEGER NOT NULL,     -- whether the body is encrypted (see `vault.rs` for the form)
  body       BLOB NOT NULL,        -- the fingerprint of its request (32 bytes), then its value as JSON
  PRIMARY KEY (session, name)
) STRICT, WITHOUT ROWID;

-- For removing those that have expired.
CREATE INDEX variables_by_age ON variables (expires_at) WHERE expires_at IS NOT NULL;
