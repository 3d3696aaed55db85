"""A watched folder that feeds the queue (ROUTER-194)."""
