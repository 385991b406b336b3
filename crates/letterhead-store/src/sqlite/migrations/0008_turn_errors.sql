-- Why turns did not end as they should, as their clients were told.
ALTER TABLE turns ADD COLUMN error TEXT; -- {code, message}; NULL where there was nothing to tell

-- For those that go on with others.
CREATE INDEX turns_by_task ON turns (continues) WHERE continues IS NOT NULL;
