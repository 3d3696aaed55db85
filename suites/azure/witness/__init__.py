"""Clients that others wrote, at work on the service: they show that it serves real software, not only this suite."""
