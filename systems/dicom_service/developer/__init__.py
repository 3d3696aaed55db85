"""Switches for developers and test harnesses: answers that go wrong by rule, and an empty store. Closed without a key."""
