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
WITH steps AS (
    SELECT id, opened, closed, renewed FROM folded_leases
    UNION ALL
    SELECT
        lease,
        CASE WHEN what = 'reserve' THEN line END,
        CASE WHEN what IN ('settle', 'release', 'expire') THEN line END,
        CASE WHEN what = 'renew' THEN line END
    FROM entries WHERE line > (SELECT folded FROM pruning)
), known AS (
    SELECT id, max(opened) AS opened, max(closed) AS closed, max(renewed) AS renewed
    FROM steps GROUP BY id
)
SELECT
    known.id,
    CASE closing.what
        WHEN 'settle' THEN 'settled'
        WHEN 'release' THEN 'released'
        WHEN 'expire' THEN 'expired'
        ELSE 'open'
    END AS state,
    known.opened,
    closing.at AS closed,
    coalesce(renewal.deadline, opening.deadline) AS deadline,
    coalesce(renewal.ttl, opening.ttl) AS ttl,
    opening.nanodollars, opening.tokens, opening.requests,
    opening.estimated_nanodollars, opening.estimated_tokens, opening.estimated_requests,
    coalesce(closing.nanodollars, 0) AS booked_nanodollars,
    coalesce(closing.tokens, 0) AS booked_tokens,
    coalesce(closing.requests, 0) AS booked_requests,
    opening.limits, opening.marks, opening.note
FROM known
JOIN entries AS opening ON opening.line = known.opened
LEFT JOIN entries AS closing ON closing.line = known.closed
LEFT JOIN entries AS renewal ON renewal.line = known.renewed;
