-- Why turns did not end as they should, as their clients were told: {code, message}, NULL where there was nothing to tell.
ALTER TABLE turns ADD COLUMN IF NOT EXISTS error text;

-- The turn that one goes on with that runs, where that was noted.
ALTER TABLE leases ADD COLUMN IF NOT EXISTS continues uuid;

-- For those that go on with others.
CREATE INDEX IF NOT EXISTS turns_by_task ON turns (continues) WHERE continues IS NOT NULL;
