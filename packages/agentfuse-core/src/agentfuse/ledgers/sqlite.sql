-- The ledger's tables, version 2. Statements end with a semicolon at the end of a line.
-- Money is in nanodollars (a billionth of a dollar), time in seconds since 1970.

-- What happened, line by line: reserve, settle, release, expire, spend, stop, resume, renew. Lines
-- follow one another without a gap, and each is one step of the ledger, written by one INSERT.
-- `accounts` is what the step left on each account: {key: [spent, held, due, resets]}. What comes
-- after it is of a reserve (and of a renew: `ttl` and `deadline`) alone.
CREATE TABLE entries (
    line INTEGER NOT NULL PRIMARY KEY,
    at REAL NOT NULL,
    what TEXT NOT NULL,
    lease TEXT NOT NULL,
    nanodollars INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    keys TEXT NOT NULL,
    note TEXT NOT NULL,
    accounts TEXT,
    ttl REAL,
    deadline REAL,
    estimated_nanodollars INTEGER,
    estimated_tokens INTEGER,
    estimated_requests INTEGER,
    limits TEXT,
    marks TEXT
);

-- Accounts as they were after the line `pruning.folded`: what was booked on each limit, see
-- Limit.key. `due` (microseconds) is when a rate is whole again; `resets` is when the window ends
-- (0: never).
CREATE TABLE folded_accounts (
    key TEXT NOT NULL PRIMARY KEY,
    spent INTEGER NOT NULL,
    held INTEGER NOT NULL,
    due INTEGER NOT NULL,
    resets REAL NOT NULL
) WITHOUT ROWID;

CREATE INDEX ended_accounts ON folded_accounts (resets) WHERE resets > 0;

-- Leases as they were after the line `pruning.folded`, for a day after they were closed: the lines
-- of `entries` in which each was `opened`, last `closed` (settle, release, expire) and last
-- `renewed`, and the `deadline` of one that is open.
CREATE TABLE folded_leases (
    id TEXT NOT NULL PRIMARY KEY,
    opened INTEGER NOT NULL,
    closed INTEGER,
    renewed INTEGER,
    deadline REAL
) WITHOUT ROWID;

CREATE INDEX open_leases ON folded_leases (deadline) WHERE deadline IS NOT NULL;

CREATE TABLE stops (
    mark TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE claims (
    name TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;

-- How far `entries` was pruned (`line`), when last (`at`), since when the clock is `steady`, and
-- how far `entries` was `folded` into accounts and leases.
CREATE TABLE pruning (
    line INTEGER NOT NULL,
    at REAL NOT NULL,
    steady REAL NOT NULL,
    folded INTEGER NOT NULL DEFAULT 0
);

INSERT INTO pruning VALUES (0, 0, 0, 0);
