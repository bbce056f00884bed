CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE IF NOT EXISTS agentfuse_semantic_entries (
    store text NOT NULL, -- namespace and embedder
    id text NOT NULL,
    scope text NOT NULL,
    names text[] NOT NULL,
    tags text[] NOT NULL,
    kept double precision NOT NULL,
    expires double precision NOT NULL,
    vector halfvec NOT NULL,
    entry text NOT NULL,
    answer bytea NOT NULL,
    PRIMARY KEY (store, id)
);

CREATE INDEX IF NOT EXISTS agentfuse_semantic_entries_by_scope
    ON agentfuse_semantic_entries (store, scope);

CREATE INDEX IF NOT EXISTS agentfuse_semantic_entries_by_end
    ON agentfuse_semantic_entries (expires);

CREATE TABLE IF NOT EXISTS agentfuse_semantic_pairs (
    store text NOT NULL,
    pair text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store, pair)
);
