"""The law: what happens to a call, in pure code over ports."""
