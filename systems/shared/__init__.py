"""What the reference systems have in common."""
