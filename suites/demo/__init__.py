"""The claims of the demo, in the order of its story."""
