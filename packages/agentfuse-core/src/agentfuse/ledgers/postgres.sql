-- The ledger's tables and functions, version 1. "agentfuse." stands for the schema's name.
--
-- Each function is one command, and one transaction unless the caller has one open. Locks are taken
-- in one order, so that none waits in a circle: rows of leases (those that others are at work on
-- are skipped, or it is the only one), then rows of accounts by their keys. READ COMMITTED is
-- enough, since whatever is decided on is locked.

CREATE TABLE agentfuse.versions (
    version integer PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE agentfuse.accounts (
    key text COLLATE "C" PRIMARY KEY,
    spent bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0,
    due bigint NOT NULL DEFAULT 0,
    allowed numeric,
    resets timestamptz
) WITH (fillfactor = 50);

COMMENT ON TABLE agentfuse.accounts IS 'What is booked on each limit.';
COMMENT ON COLUMN agentfuse.accounts.key IS
    'scope:id, then /tokens or /requests unless it is money, and the window if there is one';
COMMENT ON COLUMN agentfuse.accounts.spent IS
    'Booked, in billionths of a dollar (or tokens, or requests)';
COMMENT ON COLUMN agentfuse.accounts.held IS 'Set aside by open leases, in the same unit';
COMMENT ON COLUMN agentfuse.accounts.due IS
    'For a rate: when it is whole again, in microseconds since 1970';
COMMENT ON COLUMN agentfuse.accounts.allowed IS 'The limit, when it was last reserved on';
COMMENT ON COLUMN agentfuse.accounts.resets IS 'When the window ends; null for ever';

CREATE TABLE agentfuse.leases (
    id text COLLATE "C" PRIMARY KEY,
    opened bigint GENERATED ALWAYS AS IDENTITY,
    state text NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'expired', 'released', 'settled')),
    deadline timestamptz NOT NULL,
    ttl double precision NOT NULL,
    closed timestamptz,
    nanodollars bigint NOT NULL,
    tokens bigint NOT NULL,
    requests bigint NOT NULL,
    estimated_nanodollars bigint NOT NULL,
    estimated_tokens bigint NOT NULL,
    estimated_requests bigint NOT NULL,
    booked_nanodollars bigint NOT NULL DEFAULT 0,
    booked_tokens bigint NOT NULL DEFAULT 0,
    booked_requests bigint NOT NULL DEFAULT 0,
    limits jsonb NOT NULL,
    marks jsonb NOT NULL,
    note text NOT NULL
);

CREATE INDEX open_leases ON agentfuse.leases (deadline) WHERE state = 'open';
CREATE INDEX closed_leases ON agentfuse.leases (closed) WHERE state <> 'open';

COMMENT ON TABLE agentfuse.leases IS
    'What was set aside for each call; kept for a day after it was closed';
COMMENT ON COLUMN agentfuse.leases.estimated_nanodollars IS
    'What is booked if nobody settles before the deadline';
COMMENT ON COLUMN agentfuse.leases.limits IS 'The limits it was held on, as they were then';
COMMENT ON COLUMN agentfuse.leases.marks IS 'The names under which the call could be stopped';

CREATE TABLE agentfuse.entries (
    line bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    what text NOT NULL CHECK (what IN
        ('reserve', 'settle', 'release', 'expire', 'spend', 'stop', 'resume')),
    lease text NOT NULL,
    nanodollars bigint NOT NULL,
    tokens bigint NOT NULL,
    requests bigint NOT NULL,
    keys jsonb NOT NULL,
    note text NOT NULL
);

COMMENT ON TABLE agentfuse.entries IS
    'What happened, line by line. A lease''s last settle, release or expire is what it cost.';
COMMENT ON COLUMN agentfuse.entries.keys IS 'The accounts it was booked on';

CREATE FUNCTION agentfuse.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries are only ever added: % is refused', TG_OP;
END $$;

CREATE TRIGGER entries_are_kept BEFORE UPDATE OR DELETE ON agentfuse.entries
    FOR EACH STATEMENT EXECUTE FUNCTION agentfuse.refuse_change();

CREATE TABLE agentfuse.stops (
    mark text PRIMARY KEY,
    reason text NOT NULL,
    at timestamptz NOT NULL
);

COMMENT ON TABLE agentfuse.stops IS 'The kill switches that are pulled';

CREATE TABLE agentfuse.claims (
    name text PRIMARY KEY,
    at timestamptz NOT NULL
);

COMMENT ON TABLE agentfuse.claims IS 'What was told once, and is not told again';

CREATE FUNCTION agentfuse.moment() RETURNS timestamptz LANGUAGE sql VOLATILE AS
$$ SELECT clock_timestamp() $$;

COMMENT ON FUNCTION agentfuse.moment() IS 'The ledger''s time: this server''s';

CREATE FUNCTION agentfuse.seconds(at timestamptz) RETURNS double precision LANGUAGE sql IMMUTABLE AS
$$ SELECT extract(epoch FROM at)::double precision $$;

CREATE FUNCTION agentfuse.amount_of(
    unit text, nanodollars bigint, tokens bigint, requests bigint
) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE unit WHEN 'tokens' THEN tokens WHEN 'requests' THEN requests ELSE nanodollars END $$;

-- bigint ends at 2**63: an account that full ($4.6 billion) stays full.
CREATE FUNCTION agentfuse.bounded(amount numeric) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT least(amount, 4611686018427387904)::bigint $$;

-- Each account once, also where two limits share one: unit and pace are the same, being in its key.
CREATE FUNCTION agentfuse.accounts_of(limits jsonb) RETURNS TABLE (
    key text, unit text, pace bigint, allowed numeric, resets timestamptz
) LANGUAGE sql IMMUTABLE AS $$
    SELECT DISTINCT ON (item ->> 'key') item ->> 'key', coalesce(item ->> 'unit', 'nanodollars'),
        coalesce((item ->> 'pace')::bigint, 0), (item ->> 'amount')::numeric,
        to_timestamp((item ->> 'resets')::double precision)
    FROM jsonb_array_elements(limits) AS item
$$;

CREATE FUNCTION agentfuse.keys_of(limits jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(item ->> 'key'), '{}') FROM jsonb_array_elements(limits) AS item
$$;

CREATE FUNCTION agentfuse.lease_json(lease agentfuse.leases) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', lease.id, 'deadline', agentfuse.seconds(lease.deadline), 'ttl', lease.ttl,
        'amount', jsonb_build_array(lease.nanodollars, lease.tokens, lease.requests),
        'estimate', jsonb_build_array(
            lease.estimated_nanodollars, lease.estimated_tokens, lease.estimated_requests),
        'limits', lease.limits, 'marks', lease.marks, 'note', lease.note)
$$;

-- First the rows that are missing, then all of them, each time by key.
CREATE FUNCTION agentfuse.lock_accounts(wanted text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO agentfuse.accounts (key)
        SELECT DISTINCT key COLLATE "C" FROM unnest(wanted) AS key ORDER BY 1
        ON CONFLICT DO NOTHING;
    PERFORM FROM agentfuse.accounts WHERE key = ANY (wanted) ORDER BY key FOR UPDATE;
END $$;

-- Book what a lease cost in all, in place of what it holds or of what was booked before.
CREATE FUNCTION agentfuse.book(
    lease agentfuse.leases, actual bigint[], happened text, at timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    was_open boolean := lease.state = 'open';
BEGIN
    UPDATE agentfuse.accounts AS account SET
        held = account.held - CASE WHEN was_open THEN change.held ELSE 0 END,
        spent = agentfuse.bounded(account.spent::numeric + change.actual
            - CASE WHEN was_open THEN 0 ELSE change.booked END),
        due = agentfuse.bounded(account.due + change.pace::numeric
            * (change.actual - CASE WHEN was_open THEN change.held ELSE change.booked END))
    FROM (
        SELECT each.key, each.pace,
            agentfuse.amount_of(each.unit, lease.nanodollars, lease.tokens, lease.requests) AS held,
            agentfuse.amount_of(each.unit, lease.booked_nanodollars, lease.booked_tokens,
                lease.booked_requests) AS booked,
            agentfuse.amount_of(each.unit, actual[1], actual[2], actual[3]) AS actual
        FROM agentfuse.accounts_of(lease.limits) AS each
    ) AS change
    WHERE account.key = change.key;
    UPDATE agentfuse.leases SET
        state = CASE happened WHEN 'settle' THEN 'settled' WHEN 'release' THEN 'released'
            ELSE 'expired' END,
        closed = at, booked_nanodollars = actual[1], booked_tokens = actual[2],
        booked_requests = actual[3]
    WHERE id = lease.id;
    PERFORM agentfuse.write(happened, lease.id, actual, agentfuse.keys_of(lease.limits), lease.note);
END $$;

CREATE FUNCTION agentfuse.write(
    happened text, lease text, amount bigint[], keys text[], note text
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO agentfuse.entries (at, what, lease, nanodollars, tokens, requests, keys, note)
    VALUES (agentfuse.moment(), happened, lease, amount[1], amount[2], amount[3],
        to_jsonb(keys), note)
$$;

-- Lock the accounts that are wanted, and book every expired lease at its estimate.
CREATE FUNCTION agentfuse.reap(wanted text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    now timestamptz := agentfuse.moment();
    expired agentfuse.leases[];
    lease agentfuse.leases;
BEGIN
    IF EXISTS (SELECT FROM agentfuse.leases WHERE state = 'open' AND deadline <= now) THEN
        SELECT array_agg(late.lease) INTO expired FROM (
            SELECT held AS lease FROM agentfuse.leases AS held
            WHERE state = 'open' AND deadline <= now
            ORDER BY deadline, opened FOR UPDATE SKIP LOCKED
        ) AS late;
        FOREACH lease IN ARRAY coalesce(expired, '{}') LOOP
            wanted := wanted || agentfuse.keys_of(lease.limits);
        END LOOP;
    END IF;
    IF cardinality(wanted) > 0 THEN
        PERFORM agentfuse.lock_accounts(wanted);
    END IF;
    FOREACH lease IN ARRAY coalesce(expired, '{}') LOOP
        PERFORM agentfuse.book(
            lease,
            ARRAY[lease.estimated_nanodollars, lease.estimated_tokens, lease.estimated_requests],
            'expire', now);
    END LOOP;
END $$;

-- Say why a lease does not fit, as the first limit that says no; null where it fits. The accounts
-- are locked. A rate is GCRA: a unit may come if the moment at which the rate is whole again, moved
-- on by it, is no further off than the whole amount takes to come back.
CREATE FUNCTION agentfuse.refusal_of(asked jsonb, amount bigint[], at timestamptz)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    item jsonb;
    number bigint;
    needed numeric;
    allowed numeric;
    used numeric;
    pace numeric;
    late numeric;
    micro numeric := round(extract(epoch FROM at)::numeric * 1000000);
    account agentfuse.accounts;
BEGIN
    FOR item, number IN
        SELECT value, ordinality FROM jsonb_array_elements(asked -> 'limits') WITH ORDINALITY
    LOOP
        SELECT * INTO account FROM agentfuse.accounts WHERE key = item ->> 'key';
        needed := agentfuse.amount_of(item ->> 'unit', amount[1], amount[2], amount[3]);
        allowed := (item ->> 'amount')::numeric;
        pace := coalesce((item ->> 'pace')::numeric, 0);
        IF pace > 0 THEN
            late := greatest(account.due - micro, 0);
            CONTINUE WHEN late + needed * pace <= allowed * pace;
            RETURN jsonb_build_object('refused', number - 1, 'needed', needed,
                'left', greatest(div(allowed * pace - late, pace), 0),
                'wait', CASE WHEN needed <= allowed
                    THEN (late + needed * pace - allowed * pace) / 1000000.0 ELSE 0 END);
        END IF;
        used := account.spent::numeric + account.held;
        IF item ? 'counted' THEN
            used := used + coalesce((
                SELECT sum(part.spent::numeric + part.held)
                FROM jsonb_array_elements_text(item -> 'counted') AS part_key
                JOIN agentfuse.accounts AS part ON part.key = part_key), 0);
        END IF;
        CONTINUE WHEN used + needed <= allowed;
        RETURN jsonb_build_object('refused', number - 1, 'needed', needed,
            'left', greatest(allowed - used, 0),
            'wait', CASE WHEN item ? 'resets' AND needed <= allowed
                THEN greatest((item ->> 'resets')::double precision - agentfuse.seconds(at), 0)
                ELSE 0 END);
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION agentfuse.reserve(asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    amount bigint[] := ARRAY[
        asked -> 'amount' ->> 0, asked -> 'amount' ->> 1, asked -> 'amount' ->> 2];
    estimate bigint[] := ARRAY[
        asked -> 'estimate' ->> 0, asked -> 'estimate' ->> 1, asked -> 'estimate' ->> 2];
    keys text[] := agentfuse.keys_of(asked -> 'limits');
    known agentfuse.leases;
    refusal jsonb;
    now timestamptz;
BEGIN
    SELECT * INTO known FROM agentfuse.leases WHERE id = asked ->> 'id';
    IF FOUND THEN
        RETURN jsonb_build_object('lease', agentfuse.lease_json(known));
    END IF;
    SELECT jsonb_build_object('stop', mark, 'reason', reason) INTO refusal
    FROM jsonb_array_elements_text(asked -> 'marks') WITH ORDINALITY AS carried (name, place)
    JOIN agentfuse.stops ON mark = name ORDER BY place LIMIT 1;
    IF FOUND THEN
        RETURN refusal;
    END IF;
    PERFORM agentfuse.reap(keys);
    now := agentfuse.moment();
    refusal := agentfuse.refusal_of(asked, amount, now);
    IF refusal IS NOT NULL THEN
        -- The same lease may have come by another way while this one waited for its accounts.
        SELECT * INTO known FROM agentfuse.leases WHERE id = asked ->> 'id';
        RETURN CASE WHEN FOUND THEN jsonb_build_object('lease', agentfuse.lease_json(known))
            ELSE refusal END;
    END IF;
    INSERT INTO agentfuse.leases (id, deadline, ttl, nanodollars, tokens, requests,
        estimated_nanodollars, estimated_tokens, estimated_requests, limits, marks, note)
    VALUES (asked ->> 'id', now + make_interval(secs => (asked ->> 'ttl')::double precision),
        (asked ->> 'ttl')::double precision, amount[1], amount[2], amount[3],
        estimate[1], estimate[2], estimate[3], asked -> 'limits', asked -> 'marks', asked ->> 'note')
    ON CONFLICT DO NOTHING RETURNING * INTO known;
    IF NOT FOUND THEN
        SELECT * INTO known FROM agentfuse.leases WHERE id = asked ->> 'id';
        RETURN jsonb_build_object('lease', agentfuse.lease_json(known));
    END IF;
    PERFORM agentfuse.add(asked -> 'limits', amount, now, true);
    PERFORM agentfuse.write('reserve', known.id, amount, keys, known.note);
    RETURN jsonb_build_object('deadline', agentfuse.seconds(known.deadline));
END $$;

-- Put an amount on accounts that are locked: as held, or as spent.
CREATE FUNCTION agentfuse.add(limits jsonb, amount bigint[], at timestamptz, holding boolean)
RETURNS void LANGUAGE sql AS $$
    UPDATE agentfuse.accounts AS account SET
        held = CASE WHEN holding THEN account.held + change.more ELSE account.held END,
        spent = CASE WHEN holding THEN account.spent
            ELSE agentfuse.bounded(account.spent::numeric + change.more) END,
        due = CASE WHEN change.pace = 0 THEN account.due ELSE agentfuse.bounded(
            greatest(account.due, round(extract(epoch FROM at)::numeric * 1000000))
            + change.more::numeric * change.pace) END,
        allowed = change.allowed, resets = change.resets
    FROM (
        SELECT each.*, agentfuse.amount_of(each.unit, amount[1], amount[2], amount[3]) AS more
        FROM agentfuse.accounts_of(limits) AS each
    ) AS change
    WHERE account.key = change.key
$$;

CREATE FUNCTION agentfuse.settle(lease_id text, actual bigint[]) RETURNS jsonb
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
        PERFORM agentfuse.lock_accounts(agentfuse.keys_of(lease.limits));
        PERFORM agentfuse.book(lease, actual, 'settle', agentfuse.moment());
    END IF;
    RETURN jsonb_build_object('booked', to_jsonb(actual), 'repeated', repeated,
        'held', lease.nanodollars, 'spent', (
            SELECT coalesce(jsonb_agg(coalesce(account.spent, 0) ORDER BY place), '[]')
            FROM unnest(agentfuse.keys_of(lease.limits)) WITH ORDINALITY AS on_key (name, place)
            LEFT JOIN agentfuse.accounts AS account ON account.key = name));
END $$;

CREATE FUNCTION agentfuse.release(lease_id text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    lease agentfuse.leases;
BEGIN
    SELECT * INTO lease FROM agentfuse.leases WHERE id = lease_id FOR UPDATE;
    IF FOUND AND lease.state IN ('open', 'expired') THEN
        PERFORM agentfuse.lock_accounts(agentfuse.keys_of(lease.limits));
        PERFORM agentfuse.book(lease, '{0,0,0}', 'release', agentfuse.moment());
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION agentfuse.renew(lease_id text, lasting double precision) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    now timestamptz := agentfuse.moment();
BEGIN
    UPDATE agentfuse.leases SET ttl = lasting, deadline = now + make_interval(secs => lasting)
    WHERE id = lease_id AND state = 'open' AND deadline > now;
    RETURN to_jsonb(FOUND);
END $$;

CREATE FUNCTION agentfuse.balances(keys text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    PERFORM agentfuse.reap('{}');
    RETURN (
        SELECT coalesce(jsonb_agg(jsonb_build_array(
            coalesce(account.spent, 0), coalesce(account.held, 0)) ORDER BY place), '[]')
        FROM unnest(keys) WITH ORDINALITY AS on_key (name, place)
        LEFT JOIN agentfuse.accounts AS account ON account.key = name);
END $$;

CREATE FUNCTION agentfuse.spend(limits jsonb, amount bigint[], note text) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM agentfuse.lock_accounts(agentfuse.keys_of(limits));
    PERFORM agentfuse.add(limits, amount, agentfuse.moment(), false);
    PERFORM agentfuse.write('spend', '', amount, agentfuse.keys_of(limits), note);
    RETURN NULL;
END $$;

CREATE FUNCTION agentfuse.open_leases() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    PERFORM agentfuse.reap('{}');
    RETURN (
        SELECT coalesce(jsonb_agg(agentfuse.lease_json(lease) ORDER BY lease.opened), '[]')
        FROM agentfuse.leases AS lease WHERE state = 'open');
END $$;

CREATE FUNCTION agentfuse.stop(name text, why text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO agentfuse.stops VALUES (name, why, agentfuse.moment())
        ON CONFLICT (mark) DO UPDATE SET reason = excluded.reason, at = excluded.at;
    PERFORM agentfuse.write('stop', name, '{0,0,0}', '{}', why);
    RETURN NULL;
END $$;

CREATE FUNCTION agentfuse.resume(name text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM agentfuse.stops WHERE mark = name;
    IF FOUND THEN
        PERFORM agentfuse.write('resume', name, '{0,0,0}', '{}', '');
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION agentfuse.pulled() RETURNS jsonb LANGUAGE sql AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_array(mark, reason) ORDER BY mark COLLATE "C"), '[]')
    FROM agentfuse.stops
$$;

CREATE FUNCTION agentfuse.claim(wanted text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO agentfuse.claims VALUES (wanted, agentfuse.moment()) ON CONFLICT DO NOTHING;
    RETURN to_jsonb(FOUND);
END $$;

CREATE FUNCTION agentfuse.trail(last bigint) RETURNS jsonb LANGUAGE sql AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_array(
        agentfuse.seconds(at), what, lease, jsonb_build_array(nanodollars, tokens, requests),
        keys, note) ORDER BY line), '[]')
    FROM (SELECT * FROM agentfuse.entries ORDER BY line DESC LIMIT last) AS late
$$;

-- Let go of leases that were closed more than a day ago; each call takes a step.
CREATE FUNCTION agentfuse.prune() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM agentfuse.leases WHERE id IN (
        SELECT id FROM agentfuse.leases
        WHERE state <> 'open' AND closed < agentfuse.moment() - interval '25 hours'
        ORDER BY closed LIMIT 1000 FOR UPDATE SKIP LOCKED);
    RETURN NULL;
END $$;
