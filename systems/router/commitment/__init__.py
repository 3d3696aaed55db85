"""Storage commitment, push model (PS3.4 annex J, ROUTER-028)."""
