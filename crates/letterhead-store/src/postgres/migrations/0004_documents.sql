-- Documents, which agents look up.

CREATE TABLE IF NOT EXISTS documents (
  id         uuid PRIMARY KEY,
  tenant_id  text NOT NULL CHECK (tenant_id <> ''),
  user_id    text CHECK (user_id <> ''),   -- NULL: shared by the tenant
  key        text COLLATE "C" NOT NULL,    -- in small letters, ordered by bytes
  title      text,
  tags       text[] NOT NULL,
  revision   uuid NOT NULL,                -- another one with every writing
  size       bigint NOT NULL,              -- of the body, in bytes
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  body       text NOT NULL
);

-- A NULL is unlike any other NULL to a unique index, hence two of them.
CREATE UNIQUE INDEX IF NOT EXISTS documents_of_user ON documents (tenant_id, user_id, key) WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS documents_shared ON documents (tenant_id, key) WHERE user_id IS NULL;

-- A statement reads what is its user's own and what its tenant shares. It changes what is its own; what is shared only
-- where its transaction says that it is about that, and then nothing else.
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE documents FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS readable ON documents;
CREATE POLICY readable ON documents FOR SELECT
  USING (tenant_id = current_setting('app.tenant', true)
         AND (user_id IS NULL OR user_id = current_setting('app.user_id', true)));
DROP POLICY IF EXISTS inserted ON documents;
CREATE POLICY inserted ON documents FOR INSERT
  WITH CHECK (tenant_id = current_setting('app.tenant', true)
              AND (user_id = current_setting('app.user_id', true)
                   OR (user_id IS NULL AND current_setting('app.shares', true) = 'on')));
DROP POLICY IF EXISTS updated ON documents;
CREATE POLICY updated ON documents FOR UPDATE
  USING (tenant_id = current_setting('app.tenant', true)
         AND (user_id = current_setting('app.user_id', true)
              OR (user_id IS NULL AND current_setting('app.shares', true) = 'on')));
DROP POLICY IF EXISTS deleted ON documents;
CREATE POLICY deleted ON documents FOR DELETE
  USING (tenant_id = current_setting('app.tenant', true)
         AND (user_id = current_setting('app.user_id', true)
              OR (user_id IS NULL AND current_setting('app.shares', true) = 'on')));
