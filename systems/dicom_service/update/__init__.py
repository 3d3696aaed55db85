"""Bulk update: new patient and study values for whole studies, originals kept (UPD-001 to UPD-031)."""
