-- From here on `usage` is a list of its numbers, `headers` a list of [field, value, sent_at], and `trail` a list of stops (see
-- `columns.rs`). Rows that are here already stay as they are; those who read know both.

-- Secret headers, by session and in the order of coming: without an index of their own for that.
CREATE TABLE secret_headers (
  session INTEGER NOT NULL,
  place   INTEGER NOT NULL,
  field   TEXT NOT NULL,
  sent_at INTEGER NOT NULL,
  sealed  BLOB NOT NULL,
  PRIMARY KEY (session, place)
) STRICT, WITHOUT ROWID;

INSERT INTO secret_headers SELECT session, id, field, sent_at, sealed FROM secrets;
DROP TABLE secrets;
ALTER TABLE secret_headers RENAME TO secrets;

-- For removing those that have expired.
CREATE INDEX secrets_by_age ON secrets (sent_at);
