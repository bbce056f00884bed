-- From version 1, in which every step wrote accounts and leases themselves, to version 2.

ALTER TABLE accounts RENAME TO folded_accounts;
ALTER TABLE leases RENAME TO folded_leases;
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
