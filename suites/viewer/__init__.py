"""The viewer of the cloud, driven in a real browser."""
