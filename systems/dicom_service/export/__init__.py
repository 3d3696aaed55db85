"""Export to blob storage, and the stand-in for it that is built in (EXP-001 to EXP-021)."""
