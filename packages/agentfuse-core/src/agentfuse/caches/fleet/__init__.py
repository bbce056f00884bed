"""Semantic entries that processes share: in Redis streams, the Redis Query Engine, and pgvector."""
