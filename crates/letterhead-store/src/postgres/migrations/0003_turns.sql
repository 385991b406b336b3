-- What else is kept of turns. A turn is called like the lease that it ran under, so that one whose node died has its id
-- too; leases are made as UUIDs of version 7 from now on, and those of earlier turns become such, of the time when they
-- ended.
ALTER TABLE turns ADD COLUMN IF NOT EXISTS agent text;     -- that had the conversation at its end; NULL where its node died
ALTER TABLE turns ADD COLUMN IF NOT EXISTS continues uuid; -- the turn that it goes on with, which waited for an approval
ALTER TABLE turns ADD COLUMN IF NOT EXISTS children text;  -- the runs of the agents that were asked, NULL where there were none

-- The rows of all tenants: for this moment the owner of the table is not bound by the wall.
ALTER TABLE turns NO FORCE ROW LEVEL SECURITY;
UPDATE turns SET lease = (lpad(to_hex(ended_at), 12, '0') || '7' || lpad(to_hex(turn & 4095), 3, '0') || '8'
    || substr(replace(lease::text, '-', ''), 18))::uuid
  WHERE substr(lease::text, 15, 1) <> '7';
ALTER TABLE turns FORCE ROW LEVEL SECURITY;

CREATE UNIQUE INDEX IF NOT EXISTS turns_by_lease ON turns (lease);
