-- Accounts and leases as they are now, for people to read. Statements end as in sqlite.sql.

CREATE VIEW accounts AS
WITH latest AS (
    SELECT state.key AS key, state.value AS state, max(entries.line)
    FROM entries, json_each(entries.accounts) AS state
    WHERE entries.line > (SELECT folded FROM pruning)
    GROUP BY state.key
)
SELECT
    key,
    json_extract(state, '$[0]') AS spent,
    json_extract(state, '$[1]') AS held,
    json_extract(state, '$[2]') AS due,
    json_extract(state, '$[3]') AS resets
FROM latest
UNION ALL
SELECT key, spent, held, due, resets FROM folded_accounts
WHERE key NOT IN (SELECT key FROM latest);

CREATE VIEW leases AS
WITH tail AS (
    SELECT * FROM entries WHERE line > (SELECT folded FROM pruning)
), closing AS (
    SELECT lease, what, at, nanodollars, tokens, requests, max(line)
    FROM tail WHERE what IN ('settle', 'release', 'expire') GROUP BY lease
), renewal AS (
    SELECT lease, ttl, deadline, max(line) FROM tail WHERE what = 'renew' GROUP BY lease
), known AS (
    SELECT * FROM folded_leases
    UNION ALL
    SELECT
        lease, 'open', line, NULL, deadline, ttl, nanodollars, tokens, requests,
        estimated_nanodollars, estimated_tokens, estimated_requests, 0, 0, 0, limits, marks, note
    FROM tail WHERE what = 'reserve'
)
SELECT
    known.id,
    CASE closing.what
        WHEN 'settle' THEN 'settled'
        WHEN 'release' THEN 'released'
        WHEN 'expire' THEN 'expired'
        ELSE known.state
    END AS state,
    known.opened,
    coalesce(closing.at, known.closed) AS closed,
    coalesce(renewal.deadline, known.deadline) AS deadline,
    coalesce(renewal.ttl, known.ttl) AS ttl,
    known.nanodollars, known.tokens, known.requests,
    known.estimated_nanodollars, known.estimated_tokens, known.estimated_requests,
    coalesce(closing.nanodollars, known.booked_nanodollars) AS booked_nanodollars,
    coalesce(closing.tokens, known.booked_tokens) AS booked_tokens,
    coalesce(closing.requests, known.booked_requests) AS booked_requests,
    known.limits, known.marks, known.note
FROM known
LEFT JOIN closing ON closing.lease = known.id
LEFT JOIN renewal ON renewal.lease = known.id;
