"""Reads the cloud's change feed and compares it with what was delivered (ROUTER-196)."""
