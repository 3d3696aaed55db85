"""The configuration of one service, read once and immutable."""

from dataclasses import dataclass, field
from pathlib import Path

from systems.dicom_service.web.cors import NO_CORS, CorsPolicy

HOSTED_AUDIENCE = "https://dicom.healthcareapis.azure.com"
LARGEST_FILE = 2147483647


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says; sizes in bytes, times in seconds."""

    data: Path
    authority: str | None = None
    authority_ca: Path | None = None
    audiences: tuple[str, ...] = (HOSTED_AUDIENCE,)
    roles_claim: str = "roles"
    check_roles: bool = True
    clock_tolerance: int = 300
    largest_file: int = LARGEST_FILE
    full_validation: bool = False
    cors: CorsPolicy = NO_CORS
    partitions: bool = False
    operations: bool = True
    export: bool = True
    export_sas: bool = True
    export_public: bool = True
    secret_store: bool = True
    admin_key: str | None = field(default=None, repr=False)
    """Opens the switches for developers; None keeps them closed."""
