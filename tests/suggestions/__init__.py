"""Completions, hot queries, counters of searches."""
