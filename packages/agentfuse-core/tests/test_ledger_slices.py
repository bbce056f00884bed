"""Slices keep the contract, never pass a limit together, and refuse where the ledger would."""

from __future__ import annotations
