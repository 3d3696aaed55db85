"""Measurements: what the systems take, how fast, and what it costs (docs/performance.md)."""
