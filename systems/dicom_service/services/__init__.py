"""One module per resource of the service."""
