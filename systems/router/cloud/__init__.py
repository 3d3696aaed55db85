"""The router as a client of the cloud: tokens, HTTP, STOW-RS and reading copies back."""
