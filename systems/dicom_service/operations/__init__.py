"""Asynchronous operations: what a client started and asks about until it has ended (OPS-001 to OPS-022)."""
