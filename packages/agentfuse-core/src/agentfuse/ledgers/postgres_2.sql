-- Version 2 of the ledger in PostgreSQL: accounts whose windows are long over are let go of.

CREATE INDEX ended_accounts ON agentfuse.accounts (resets) WHERE resets IS NOT NULL;

-- One row: when old things were last let go of, and since when the clock has moved without a leap.
CREATE TABLE agentfuse.pruning (
    at timestamptz NOT NULL,
    steady timestamptz NOT NULL
);

INSERT INTO agentfuse.pruning VALUES (agentfuse.moment(), agentfuse.moment());

COMMENT ON TABLE agentfuse.pruning IS
    'Accounts are let go of only while the clock has been steady for an hour';

-- First the rows that are missing, then all of them, each time by key. One that is let go of in
-- between is made again: what is decided on must be locked.
CREATE OR REPLACE FUNCTION agentfuse.lock_accounts(wanted text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    locked bigint;
BEGIN
    LOOP
        INSERT INTO agentfuse.accounts (key)
            SELECT DISTINCT key COLLATE "C" FROM unnest(wanted) AS key ORDER BY 1
            ON CONFLICT DO NOTHING;
        PERFORM FROM agentfuse.accounts WHERE key = ANY (wanted) ORDER BY key FOR UPDATE;
        GET DIAGNOSTICS locked = ROW_COUNT;
        EXIT WHEN locked = (SELECT count(DISTINCT key) FROM unnest(wanted) AS key);
    END LOOP;
END $$;

-- Lock the accounts that a lease is booked on. Where it is closed, one that was let go of since
-- stays so: there is nothing to correct.
CREATE FUNCTION agentfuse.lock_booked(lease agentfuse.leases) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted text[] := agentfuse.keys_of(lease.limits);
BEGIN
    IF lease.state = 'open' THEN
        PERFORM agentfuse.lock_accounts(wanted);
    ELSE
        PERFORM FROM agentfuse.accounts WHERE key = ANY (wanted) ORDER BY key FOR UPDATE;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION agentfuse.settle(lease_id text, actual bigint[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    lease agentfuse.leases;
    repeated boolean;
BEGIN
    SELECT * INTO lease FROM agentfuse.leases WHERE id = lease_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    repeated := lease.state = 'settled';
    IF repeated THEN
        actual := ARRAY[lease.booked_nanodollars, lease.booked_tokens, lease.booked_requests];
    ELSE
        PERFORM agentfuse.lock_booked(lease);
        PERFORM agentfuse.book(lease, actual, 'settle', agentfuse.moment());
    END IF;
    RETURN jsonb_build_object('booked', to_jsonb(actual), 'repeated', repeated,
        'held', lease.nanodollars, 'spent', (
            SELECT coalesce(jsonb_agg(coalesce(account.spent, 0) ORDER BY place), '[]')
            FROM unnest(agentfuse.keys_of(lease.limits)) WITH ORDINALITY AS on_key (name, place)
            LEFT JOIN agentfuse.accounts AS account ON account.key = name));
END $$;

CREATE OR REPLACE FUNCTION agentfuse.release(lease_id text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    lease agentfuse.leases;
BEGIN
    SELECT * INTO lease FROM agentfuse.leases WHERE id = lease_id FOR UPDATE;
    IF FOUND AND lease.state IN ('open', 'expired') THEN
        PERFORM agentfuse.lock_booked(lease);
        PERFORM agentfuse.book(lease, '{0,0,0}', 'release', agentfuse.moment());
    END IF;
    RETURN NULL;
END $$;

-- Let go of leases that were closed more than a day ago, and of accounts 35 days after their
-- window has ended; each call takes a step. After a leap of the clock by more than a week, or back,
-- accounts stay for an hour: a month's budget must not be forgotten for a clock that is set wrong.
CREATE OR REPLACE FUNCTION agentfuse.prune() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now timestamptz := agentfuse.moment();
    clock agentfuse.pruning;
BEGIN
    DELETE FROM agentfuse.leases WHERE id IN (
        SELECT id FROM agentfuse.leases
        WHERE state <> 'open' AND closed < now - interval '25 hours'
        ORDER BY closed LIMIT 1000 FOR UPDATE SKIP LOCKED);
    SELECT * INTO clock FROM agentfuse.pruning FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;  -- another is at it
    END IF;
    IF now NOT BETWEEN clock.at AND clock.at + interval '7 days' THEN
        clock.steady := now;
    END IF;
    UPDATE agentfuse.pruning SET at = now, steady = clock.steady;
    IF now - clock.steady >= interval '1 hour' THEN
        DELETE FROM agentfuse.accounts WHERE key IN (
            SELECT key FROM agentfuse.accounts AS ended
            WHERE resets < now - interval '35 days' AND held = 0 AND NOT EXISTS (
                SELECT FROM agentfuse.leases WHERE state = 'open'
                AND limits @> jsonb_build_array(jsonb_build_object('key', ended.key)))
            ORDER BY resets LIMIT 1000 FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN NULL;
END $$;
