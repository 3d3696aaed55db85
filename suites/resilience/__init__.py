"""Faults from outside, and what survives them."""
