-- Turns stand in the order of their coming and are found by two small indexes. In the order of their sessions, as they were, each
-- turn of another session was written to another page; and as rows of an index only four of them had room in one.
CREATE TABLE turns_in_order (
  session   INTEGER NOT NULL,
  turn      INTEGER NOT NULL,
  id        BLOB NOT NULL,         -- 16 bytes
  status    TEXT NOT NULL,
  ended_at  INTEGER NOT NULL,
  agent     TEXT,                  -- that had the conversation at its end; NULL in turns of early versions
  usage     TEXT,
  continues BLOB,                  -- the id of the turn that it goes on with, which waited for an approval
  error     TEXT,                  -- {code, message}; NULL where there was nothing to tell
  trail     TEXT,                  -- NULL where no header went anywhere
  children  TEXT                   -- the runs of the agents that were asked, NULL where there were none
) STRICT;

INSERT INTO turns_in_order (session, turn, id, status, ended_at, agent, usage, continues, error, trail, children)
  SELECT session, turn, id, status, ended_at, agent, usage, continues, error, trail, children FROM turns;
DROP TABLE turns;
ALTER TABLE turns_in_order RENAME TO turns;

CREATE UNIQUE INDEX turns_of_session ON turns (session, turn);
CREATE UNIQUE INDEX turns_by_id ON turns (id);
CREATE INDEX turns_by_task ON turns (continues) WHERE continues IS NOT NULL;
