"""One import at a time: pydicom imported by two threads at once fails in one of them with a half-made module."""

import threading

ONE_AT_A_TIME = threading.RLock()
"""Held around every import that is made after the start."""
