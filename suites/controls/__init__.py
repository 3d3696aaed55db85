"""Sabotaged worlds in which a check must fail."""
