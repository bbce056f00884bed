-- The ledger's tables, version 1. Statements end with a semicolon at the end of a line.
-- Money is in nanodollars (a billionth of a dollar), time in seconds since 1970.

-- What is booked on each limit: see Limit.key. `due` (microseconds) is when a rate is whole again;
-- `resets` is when the window ends (0: never).
CREATE TABLE accounts (
    key TEXT NOT NULL PRIMARY KEY,
    spent INTEGER NOT NULL,
    held INTEGER NOT NULL,
    due INTEGER NOT NULL,
    resets REAL NOT NULL
) WITHOUT ROWID;

CREATE INDEX ended_accounts ON accounts (resets) WHERE resets > 0;

-- What was set aside for each call, for a day after it was closed. `state` is open, expired,
-- released or settled; `opened` is the line of `entries` in which it was reserved.
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

CREATE INDEX open_leases ON leases (deadline) WHERE state = 'open';

-- What happened, line by line: reserve, settle, release, expire, spend, stop, resume.
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

CREATE TABLE stops (
    mark TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE claims (
    name TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;

-- How far `entries` was pruned (`line`), when last (`at`), and since when the clock is `steady`.
CREATE TABLE pruning (
    line INTEGER NOT NULL,
    at REAL NOT NULL,
    steady REAL NOT NULL
);

INSERT INTO pruning VALUES (0, 0, 0);
