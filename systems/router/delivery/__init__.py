"""Delivery: one worker group per destination, with its own back-off, pause and order."""
