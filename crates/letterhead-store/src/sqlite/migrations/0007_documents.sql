-- Documents, which agents look up.
CREATE TABLE documents (
  id         INTEGER PRIMARY KEY,
  tenant_id  TEXT NOT NULL,
  user_id    TEXT,                 -- NULL: shared by the tenant
  key        TEXT NOT NULL,        -- in small letters
  title      TEXT,
  tags       TEXT NOT NULL,        -- a JSON list
  revision   TEXT NOT NULL,        -- another one with every writing
  size       INTEGER NOT NULL,     -- of the body, in bytes
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  body       TEXT NOT NULL
) STRICT;

-- A NULL is unlike any other NULL to a unique index, hence two of them.
CREATE UNIQUE INDEX documents_of_user ON documents (tenant_id, user_id, key) WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX documents_shared ON documents (tenant_id, key) WHERE user_id IS NULL;
