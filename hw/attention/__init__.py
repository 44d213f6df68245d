"""Aggregated attention and what is mixed with it."""
