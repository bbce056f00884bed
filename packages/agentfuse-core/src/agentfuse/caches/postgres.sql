CREATE TABLE IF NOT EXISTS agentfuse_answers (
    store text NOT NULL,
    key bytea NOT NULL, -- any text, also one that is no UTF-8
    expires double precision NOT NULL,
    kept double precision NOT NULL,
    tags bytea[] NOT NULL,
    answer bytea NOT NULL,
    PRIMARY KEY (store, key)
);

CREATE INDEX IF NOT EXISTS agentfuse_answers_by_end ON agentfuse_answers (expires);
