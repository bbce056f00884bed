-- From version 1, in which every step wrote accounts and leases themselves, to version 2.

ALTER TABLE accounts RENAME TO folded_accounts;
ALTER TABLE entries ADD COLUMN accounts TEXT;
ALTER TABLE entries ADD COLUMN ttl REAL;
ALTER TABLE entries ADD COLUMN deadline REAL;
ALTER TABLE entries ADD COLUMN estimated_nanodollars INTEGER;
ALTER TABLE entries ADD COLUMN estimated_tokens INTEGER;
ALTER TABLE entries ADD COLUMN estimated_requests INTEGER;
ALTER TABLE entries ADD COLUMN limits TEXT;
ALTER TABLE entries ADD COLUMN marks TEXT;
ALTER TABLE pruning ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;
UPDATE pruning SET folded = (SELECT coalesce(max(line), 0) FROM entries);

-- The line in which a lease was opened says all about it; one that is open may have lost its line.
CREATE INDEX opened_leases ON leases (opened);
INSERT INTO entries (line, at, what, lease, nanodollars, tokens, requests, keys, note)
    SELECT opened, deadline - ttl, 'reserve', id, nanodollars, tokens, requests, '[]', note
    FROM leases WHERE opened NOT IN (SELECT line FROM entries);
UPDATE entries SET (
    ttl, deadline, estimated_nanodollars, estimated_tokens, estimated_requests, limits, marks
) = (
    SELECT ttl, deadline, estimated_nanodollars, estimated_tokens, estimated_requests, limits, marks
    FROM leases WHERE leases.opened = entries.line
) WHERE line IN (SELECT opened FROM leases);

CREATE TABLE folded_leases (
    id TEXT NOT NULL PRIMARY KEY,
    opened INTEGER NOT NULL,
    closed INTEGER,
    renewed INTEGER,
    deadline REAL
) WITHOUT ROWID;
INSERT INTO folded_leases
    SELECT id, opened, closing.line, NULL, CASE state WHEN 'open' THEN deadline END
    FROM leases LEFT JOIN (
        SELECT lease, max(line) AS line FROM entries
        WHERE what IN ('settle', 'release', 'expire') GROUP BY lease
    ) AS closing ON closing.lease = leases.id
    WHERE state = 'open' OR closing.line IS NOT NULL;
DROP TABLE leases;
CREATE INDEX open_leases ON folded_leases (deadline) WHERE deadline IS NOT NULL;
