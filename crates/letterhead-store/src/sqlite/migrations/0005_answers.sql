-- Answers for requests that are sent again with the same `Idempotency-Key`. Which keys are being worked on is known to
-- the process alone, so that a crash frees them.
CREATE TABLE answers (
  id       INTEGER PRIMARY KEY,
  scope    BLOB NOT NULL UNIQUE,  -- caller, session as sent, and key, each behind its length
  request  BLOB NOT NULL,         -- a hash of it
  session  INTEGER,               -- whose turn it was, and with which it is removed; NULL where none was stored
  given_at INTEGER NOT NULL,
  body     BLOB NOT NULL
) STRICT;

CREATE INDEX answers_by_age ON answers (given_at);
CREATE INDEX answers_of_session ON answers (session) WHERE session IS NOT NULL;
