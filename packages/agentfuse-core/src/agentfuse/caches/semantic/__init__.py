"""Answers to questions that mean the same: the tier, its store in memory, its judges and counts."""
