"""The authenticated HTTP interface for operators (ROUTER-199)."""
