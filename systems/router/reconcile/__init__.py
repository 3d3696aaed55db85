"""Compares what the ledger says was delivered with what the PACS and the cloud hold (ROUTER-197)."""
