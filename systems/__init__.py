"""The reference systems: each a program of its own, useful without the suites."""
