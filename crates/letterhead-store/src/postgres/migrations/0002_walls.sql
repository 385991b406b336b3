-- The second wall between tenants: a statement sees the rows of the tenant that its transaction is bound to, whatever it
-- asks for, and none where it is bound to nobody. `current_setting` gives NULL, or an empty text, where nothing was set.

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE messages FORCE ROW LEVEL SECURITY;
ALTER TABLE turns ENABLE ROW LEVEL SECURITY;
ALTER TABLE turns FORCE ROW LEVEL SECURITY;
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE secrets FORCE ROW LEVEL SECURITY;
ALTER TABLE variables ENABLE ROW LEVEL SECURITY;
ALTER TABLE variables FORCE ROW LEVEL SECURITY;
ALTER TABLE leases ENABLE ROW LEVEL SECURITY;
ALTER TABLE leases FORCE ROW LEVEL SECURITY;
ALTER TABLE answers ENABLE ROW LEVEL SECURITY;
ALTER TABLE answers FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS of_tenant ON sessions;
CREATE POLICY of_tenant ON sessions USING (tenant_id = current_setting('app.tenant', true));
DROP POLICY IF EXISTS of_tenant ON messages;
CREATE POLICY of_tenant ON messages USING (tenant_id = current_setting('app.tenant', true));
DROP POLICY IF EXISTS of_tenant ON turns;
CREATE POLICY of_tenant ON turns USING (tenant_id = current_setting('app.tenant', true));
DROP POLICY IF EXISTS of_tenant ON secrets;
CREATE POLICY of_tenant ON secrets USING (tenant_id = current_setting('app.tenant', true));
DROP POLICY IF EXISTS of_tenant ON variables;
CREATE POLICY of_tenant ON variables USING (tenant_id = current_setting('app.tenant', true));
DROP POLICY IF EXISTS of_tenant ON leases;
CREATE POLICY of_tenant ON leases USING (tenant_id = current_setting('app.tenant', true));
DROP POLICY IF EXISTS of_tenant ON answers;
CREATE POLICY of_tenant ON answers USING (tenant_id = current_setting('app.tenant', true));

-- Housekeeping looks for what has expired in all tenants, and then removes it tenant by tenant.
DROP POLICY IF EXISTS for_housekeeping ON sessions;
CREATE POLICY for_housekeeping ON sessions FOR SELECT USING (current_setting('app.housekeeping', true) = 'on');
DROP POLICY IF EXISTS for_housekeeping ON secrets;
CREATE POLICY for_housekeeping ON secrets FOR SELECT USING (current_setting('app.housekeeping', true) = 'on');
DROP POLICY IF EXISTS for_housekeeping ON variables;
CREATE POLICY for_housekeeping ON variables FOR SELECT USING (current_setting('app.housekeeping', true) = 'on');
DROP POLICY IF EXISTS for_housekeeping ON leases;
CREATE POLICY for_housekeeping ON leases FOR SELECT USING (current_setting('app.housekeeping', true) = 'on');
DROP POLICY IF EXISTS for_housekeeping ON answers;
CREATE POLICY for_housekeeping ON answers FOR SELECT USING (current_setting('app.housekeeping', true) = 'on');
