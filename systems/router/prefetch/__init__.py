"""Priors and missing series, fetched from the cloud into the PACS before anybody asks (ROUTER-135 to ROUTER-145)."""
