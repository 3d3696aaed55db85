"""Work items: the UPS-RS worklist service (PS3.18 chapter 11), in tables of its own (UPS-001 to UPS-078)."""
