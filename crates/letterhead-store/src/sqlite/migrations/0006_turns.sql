-- What turns are called, and what else is kept of them. Those that are here already get ids of version 7, made of the time
-- when they ended.
ALTER TABLE turns ADD COLUMN id BLOB;        -- 16 bytes; never NULL
ALTER TABLE turns ADD COLUMN agent TEXT;     -- that had the conversation at its end; NULL in turns of early versions
ALTER TABLE turns ADD COLUMN continues BLOB; -- the id of the turn that it goes on with, which waited for an approval
ALTER TABLE turns ADD COLUMN children TEXT;  -- the runs of the agents that were asked, NULL where there were none

UPDATE turns SET id = unhex(printf('%012x7%03x8', ended_at, turn & 4095) || substr(hex(randomblob(8)), 2));

CREATE UNIQUE INDEX turns_by_id ON turns (id);
