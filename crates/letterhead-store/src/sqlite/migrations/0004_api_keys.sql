-- API keys. Of their secrets there are only hashes.
CREATE TABLE api_keys (
  seq           INTEGER PRIMARY KEY, -- in the order of coming
  id            TEXT NOT NULL UNIQUE,
  name          TEXT NOT NULL,
  tenant_id     TEXT NOT NULL,
  scopes        TEXT NOT NULL,       -- a JSON list
  on_behalf     INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  expires_at    INTEGER,             -- NULL: never
  revoked_at    INTEGER,             -- NULL: not revoked
  secret_sha256 BLOB NOT NULL
) STRICT;
