"""Image work as pure functions over Part 10 bytes."""
