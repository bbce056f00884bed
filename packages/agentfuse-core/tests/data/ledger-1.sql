BEGIN TRANSACTION;
CREATE TABLE accounts (
    key TEXT NOT NULL PRIMARY KEY,
    spent INTEGER NOT NULL,
    held INTEGER NOT NULL,
    due INTEGER NOT NULL,
    resets REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO "accounts" VALUES('run:r1',85,80,0,0.0);
INSERT INTO "accounts" VALUES('user:ann/2027-01-15',78,80,0,1800050000.0);
INSERT INTO "accounts" VALUES('user:ann/requests/pace-1000000',3,2,1800000005000000,0.0);
CREATE TABLE claims (
    name TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;
INSERT INTO "claims" VALUES('alert');
CREATE TABLE entries (
    line INTEGER NOT NULL PRIMARY KEY,
    at REAL NOT NULL,
    what TEXT NOT NULL,
    lease TEXT NOT NULL,
    nanodollars INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    keys TEXT NOT NULL,
    note TEXT NOT NULL
);
INSERT INTO "entries" VALUES(2,1800000000.0,'reserve','renewed',40,40,1,'["run:r1","user:ann/2027-01-15","user:ann/requests/pace-1000000"]','it''s "renewed"');
INSERT INTO "entries" VALUES(3,1800000000.0,'reserve','settled',40,40,1,'["run:r1","user:ann/2027-01-15","user:ann/requests/pace-1000000"]','it''s "settled"');
INSERT INTO "entries" VALUES(4,1800000000.0,'reserve','released',40,40,1,'["run:r1","user:ann/2027-01-15","user:ann/requests/pace-1000000"]','it''s "released"');
INSERT INTO "entries" VALUES(5,1800000000.0,'reserve','expired',40,40,1,'["run:r1","user:ann/2027-01-15","user:ann/requests/pace-1000000"]','it''s "expired"');
INSERT INTO "entries" VALUES(6,1800000000.0,'reserve','late',40,40,1,'["run:r1","user:ann/2027-01-15","user:ann/requests/pace-1000000"]','it''s "late"');
INSERT INTO "entries" VALUES(7,1800000030.0,'settle','settled',25,30,1,'["run:r1","user:ann/2027-01-15","user:ann/requests/pace-1000000"]','it''s "settled"');
INSERT INTO "entries" VALUES(8,1800000030.0,'release','released',0,0,0,'["run:r1","user:ann/2027-01-15","user:ann/requests/pace-1000000"]','it''s "released"');
INSERT INTO "entries" VALUES(9,1800000070.0,'expire','expired',20,20,1,'["run:r1","user:ann/2027-01-15","user:ann/requests/pace-1000000"]','it''s "expired"');
INSERT INTO "entries" VALUES(10,1800000070.0,'expire','late',20,20,1,'["run:r1","user:ann/2027-01-15","user:ann/requests/pace-1000000"]','it''s "late"');
INSERT INTO "entries" VALUES(11,1800000070.0,'settle','late',33,1,1,'["run:r1","user:ann/2027-01-15","user:ann/requests/pace-1000000"]','it''s "late"');
INSERT INTO "entries" VALUES(12,1800000070.0,'spend','',7,0,0,'["run:r1"]','web_search');
INSERT INTO "entries" VALUES(13,1800000070.0,'stop','run:r2',0,0,0,'[]','it loops');
CREATE TABLE leases (
    id TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL,
    opened INTEGER NOT NULL,
    closed REAL,
    deadline REAL NOT NULL,
    ttl REAL NOT NULL,
    nanodollars INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    estimated_nanodollars INTEGER NOT NULL,
    estimated_tokens INTEGER NOT NULL,
    estimated_requests INTEGER NOT NULL,
    booked_nanodollars INTEGER NOT NULL,
    booked_tokens INTEGER NOT NULL,
    booked_requests INTEGER NOT NULL,
    limits TEXT NOT NULL,
    marks TEXT NOT NULL,
    note TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "leases" VALUES('expired','expired',5,1800000070.0,1800000060.0,60.0,40,40,1,20,20,1,20,20,1,'[{"scope":"run","id":"r1","amount":1000},{"scope":"user","id":"ann","amount":500,"window":"2027-01-15","resets":1800050000.0},{"scope":"user","id":"ann","amount":100,"unit":"requests","pace":1000000}]','["*","run:r1"]','it''s "expired"');
INSERT INTO "leases" VALUES('late','settled',6,1800000070.0,1800000060.0,60.0,40,40,1,20,20,1,33,1,1,'[{"scope":"run","id":"r1","amount":1000},{"scope":"user","id":"ann","amount":500,"window":"2027-01-15","resets":1800050000.0},{"scope":"user","id":"ann","amount":100,"unit":"requests","pace":1000000}]','["*","run:r1"]','it''s "late"');
INSERT INTO "leases" VALUES('open','open',1,NULL,1800000600.0,600.0,40,40,1,20,20,1,0,0,0,'[{"scope":"run","id":"r1","amount":1000},{"scope":"user","id":"ann","amount":500,"window":"2027-01-15","resets":1800050000.0},{"scope":"user","id":"ann","amount":100,"unit":"requests","pace":1000000}]','["*","run:r1"]','it''s "open"');
INSERT INTO "leases" VALUES('released','released',4,1800000030.0,1800000600.0,600.0,40,40,1,20,20,1,0,0,0,'[{"scope":"run","id":"r1","amount":1000},{"scope":"user","id":"ann","amount":500,"window":"2027-01-15","resets":1800050000.0},{"scope":"user","id":"ann","amount":100,"unit":"requests","pace":1000000}]','["*","run:r1"]','it''s "released"');
INSERT INTO "leases" VALUES('renewed','open',2,NULL,1800000930.0,900.0,40,40,1,20,20,1,0,0,0,'[{"scope":"run","id":"r1","amount":1000},{"scope":"user","id":"ann","amount":500,"window":"2027-01-15","resets":1800050000.0},{"scope":"user","id":"ann","amount":100,"unit":"requests","pace":1000000}]','["*","run:r1"]','it''s "renewed"');
INSERT INTO "leases" VALUES('settled','settled',3,1800000030.0,1800000600.0,600.0,40,40,1,20,20,1,25,30,1,'[{"scope":"run","id":"r1","amount":1000},{"scope":"user","id":"ann","amount":500,"window":"2027-01-15","resets":1800050000.0},{"scope":"user","id":"ann","amount":100,"unit":"requests","pace":1000000}]','["*","run:r1"]','it''s "settled"');
CREATE TABLE pruning (
    line INTEGER NOT NULL,
    at REAL NOT NULL,
    steady REAL NOT NULL
);
INSERT INTO "pruning" VALUES(0,1800000000.0,1800000000.0);
CREATE TABLE stops (
    mark TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "stops" VALUES('run:r2','it loops');
CREATE INDEX ended_accounts ON accounts (resets) WHERE resets > 0;
CREATE INDEX open_leases ON leases (deadline) WHERE state = 'open';
COMMIT;
PRAGMA application_id = 1095134309;
PRAGMA user_version = 1;
