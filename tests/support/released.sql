-- A record that version 0.1.0 wrote in its first form, with the indexes of that time; both databases read this.
CREATE TABLE checkpoint (
	size BIGINT NOT NULL, 
	time VARCHAR(27) NOT NULL, 
	head VARCHAR(64) NOT NULL, 
	note TEXT NOT NULL, 
	PRIMARY KEY (size)
);
INSERT INTO "checkpoint" VALUES(1,'2026-11-22T09:00:00.000000Z','9c679efd53bb0a9fd93af5883bbf0940e771808e0f854499b80c5d8b2c00767c','recovery-kiosk/5a677023-15b9-4bc6-b3a2-d98948402c94
1
nGee/VO7Cp/ZOvWIO78JQOdxgI4PhUSZuAxdiywAdnw=
2026-11-22T09:00:00.000000Z

— recovery-kiosk/5a677023-15b9-4bc6-b3a2-d98948402c94 v9EzESZJoJuZfoRYBSJp4bpj2rOHhcVDddwNA6JP+4xn87+O7velZ8rsY0mwQhprYD1Poc02K3/nxtuLHSCLHC/7ngc=
');
INSERT INTO "checkpoint" VALUES(4,'2026-11-22T09:00:02.000000Z','4eb7fd211568ce9694d78d6ab10a33b6f533cacec1fac0820d634486a484d8e0','recovery-kiosk/5a677023-15b9-4bc6-b3a2-d98948402c94
4
Trf9IRVozpaU141qsQoztvUzys7B+sCCDWNEhqSE2OA=
2026-11-22T09:00:02.000000Z

— recovery-kiosk/5a677023-15b9-4bc6-b3a2-d98948402c94 v9EzEVtQGJJ9C+N4qeNrTXWAR5H+Wxu+s4nXykviJ505tJ1mhTfyrTncY6j9+JIBFJGL2MemmePRV7vX4ztFTMWIZQA=
');
INSERT INTO "checkpoint" VALUES(7,'2026-11-22T09:00:22.000000Z','cf7becdb5fa514e3e324e811a900175d10ce12e0ddd1e75acb04442e56ca7446','recovery-kiosk/5a677023-15b9-4bc6-b3a2-d98948402c94
7
z3vs21+lFOPjJOgRqQAXXRDOEuDd0edaywRELlbKdEY=
2026-11-22T09:00:22.000000Z

— recovery-kiosk/5a677023-15b9-4bc6-b3a2-d98948402c94 v9EzEQG+HByHFtxsOST7XGl9jKYsx97JBqtYSeRg4iRJjgbxn/ic1H6DCixmcI4iTYO65viJNpbEyQNeW9tiXIOPVAU=
');
CREATE TABLE head (
	id INTEGER NOT NULL, 
	version SMALLINT NOT NULL, 
	origin VARCHAR(64) NOT NULL, 
	n BIGINT NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	sealed BIGINT NOT NULL, 
	sealed_at VARCHAR(27) NOT NULL, 
	trials BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "head" VALUES(1,2,'recovery-kiosk/5a677023-15b9-4bc6-b3a2-d98948402c94',7,'cf7becdb5fa514e3e324e811a900175d10ce12e0ddd1e75acb04442e56ca7446',7,'2026-11-22T09:00:22.000000Z',0);
CREATE TABLE record (
	n BIGINT NOT NULL, 
	version SMALLINT NOT NULL, 
	time VARCHAR(27) NOT NULL, 
	event VARCHAR(32) NOT NULL, 
	outcome VARCHAR(32) NOT NULL, 
	tid VARCHAR(36) NOT NULL, 
	oid VARCHAR(36) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	address VARCHAR(254) NOT NULL, 
	roles VARCHAR(200) NOT NULL, 
	uti VARCHAR(64) NOT NULL, 
	device_id VARCHAR(36) NOT NULL, 
	device_name VARCHAR(64) NOT NULL, 
	serial VARCHAR(64) NOT NULL, 
	owner_type VARCHAR(64) NOT NULL, 
	reason VARCHAR(200) NOT NULL, 
	release_id VARCHAR(36) NOT NULL, 
	client_request_id VARCHAR(36) NOT NULL, 
	request_id VARCHAR(64) NOT NULL, 
	terminal VARCHAR(64) NOT NULL, 
	reference VARCHAR(16) NOT NULL, 
	visit_key VARCHAR(64) NOT NULL, 
	shown_seconds FLOAT, 
	digest VARCHAR(64) NOT NULL, 
	detail TEXT NOT NULL, 
	previous VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (n)
);
INSERT INTO "record" VALUES(1,2,'2026-11-22T09:00:00.000000Z','broker.started','ok','','','','','','','','','','','','','','','','','',NULL,'','','f54545eafb6ed73057990a73f74d7da55ee9cb0996a2c3d90d10202a24084fef','9c679efd53bb0a9fd93af5883bbf0940e771808e0f854499b80c5d8b2c00767c');
INSERT INTO "record" VALUES(2,2,'2026-11-22T09:00:00.000000Z','session.opened','ok','6f1f1f0e-0000-4000-8000-000000000001','0a0a0a0a-0000-4000-8000-000000000001','Zoë Ångström','zoe@nordwind.example','','u1','','','','','','','','','desk-1 pts/3 from 192.0.2.7','','abababababababababababababababababababababababababababababababab',NULL,'','','9c679efd53bb0a9fd93af5883bbf0940e771808e0f854499b80c5d8b2c00767c','b61e1f5c2255a45cb8841406d42e6a519cb8018446f00609d8e78954c0483954');
INSERT INTO "record" VALUES(3,2,'2026-11-22T09:00:01.000000Z','release.intended','ok','6f1f1f0e-0000-4000-8000-000000000001','0a0a0a0a-0000-4000-8000-000000000001','Zoë Ångström','zoe@nordwind.example','','u1','1b1b1b1b-0000-4000-8000-000000000001','NW-ZANG-14','H4XQ7LM2PN','company','it''s 100% locked','2c2c2c2c-0000-4000-8000-000000000001','','','desk-1 pts/3 from 192.0.2.7','','abababababababababababababababababababababababababababababababab',NULL,'','','b61e1f5c2255a45cb8841406d42e6a519cb8018446f00609d8e78954c0483954','4f78a26e7db83890c8ba3c53a7dd7b41d5b8206adf2c1eba748c4bc8294735fa');
INSERT INTO "record" VALUES(4,2,'2026-11-22T09:00:02.000000Z','release.done','ok','6f1f1f0e-0000-4000-8000-000000000001','0a0a0a0a-0000-4000-8000-000000000001','Zoë Ångström','zoe@nordwind.example','','u1','1b1b1b1b-0000-4000-8000-000000000001','NW-ZANG-14','H4XQ7LM2PN','company','it''s 100% locked','2c2c2c2c-0000-4000-8000-000000000001','','','desk-1 pts/3 from 192.0.2.7','','abababababababababababababababababababababababababababababababab',NULL,'','','4f78a26e7db83890c8ba3c53a7dd7b41d5b8206adf2c1eba748c4bc8294735fa','4eb7fd211568ce9694d78d6ab10a33b6f533cacec1fac0820d634486a484d8e0');
INSERT INTO "record" VALUES(5,2,'2026-11-22T09:00:22.000000Z','release.closed','hidden','6f1f1f0e-0000-4000-8000-000000000001','0a0a0a0a-0000-4000-8000-000000000001','Zoë Ångström','zoe@nordwind.example','','u1','1b1b1b1b-0000-4000-8000-000000000001','NW-ZANG-14','H4XQ7LM2PN','company','it''s 100% locked','2c2c2c2c-0000-4000-8000-000000000001','','','desk-1 pts/3 from 192.0.2.7','','abababababababababababababababababababababababababababababababab',12.5,'','','4eb7fd211568ce9694d78d6ab10a33b6f533cacec1fac0820d634486a484d8e0','9b5e8caaeaa7a9470fc8892bf3ac12e1e5b683adbb75f67f44010ea4396e25b5');
INSERT INTO "record" VALUES(6,2,'2026-11-22T09:00:22.000000Z','release.intended','ok','6f1f1f0e-0000-4000-8000-000000000001','0a0a0a0a-0000-4000-8000-000000000001','Zoë Ångström','zoe@nordwind.example','','u1','1b1b1b1b-0000-4000-8000-000000000001','NW-ZANG-14','H4XQ7LM2PN','company','it''s 100% locked','2c2c2c2c-0000-4000-8000-000000000002','','','desk-1 pts/4','','abababababababababababababababababababababababababababababababab',NULL,'','','9b5e8caaeaa7a9470fc8892bf3ac12e1e5b683adbb75f67f44010ea4396e25b5','6336f455d29a0891e2d3962ad8c6b58b9d9a4d163ea3179753f74b88d85005c7');
INSERT INTO "record" VALUES(7,2,'2026-11-22T09:00:22.000000Z','broker.stopped','ok','','','','','','','','','','','','','','','','','',NULL,'','','6336f455d29a0891e2d3962ad8c6b58b9d9a4d163ea3179753f74b88d85005c7','cf7becdb5fa514e3e324e811a900175d10ce12e0ddd1e75acb04442e56ca7446');
CREATE INDEX record_by_token ON record (uti);
CREATE INDEX record_by_device ON record (device_id, event, time);
CREATE INDEX record_by_terminal ON record (terminal, event, time);
CREATE INDEX record_by_person ON record (oid, event, time);
CREATE INDEX record_by_event ON record (event, time);
CREATE INDEX record_by_release ON record (release_id);
