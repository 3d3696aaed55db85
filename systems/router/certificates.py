"""How long the certificates of the configuration are still valid (ROUTER-161)."""

import time
from pathlib import Path
from typing import Final

from systems.router.config.model import Config, Listener

_DAY: Final = 86400.0
_LOOK_AGAIN_SECONDS: Final = 3600.0


class Certificates:
    """Looked at once an hour: their files change rarely, and what reads them is slow to load."""

    def __init__(self) -> None:
        self._found: list[tuple[str, Path, float | None]] = []
        self._looked = -_LOOK_AGAIN_SECONDS

    def look(self, config: Config) -> None:
        """Read the files, unless that was done within the hour; to be run in a thread."""
        if time.monotonic() - self._looked < _LOOK_AGAIN_SECONDS:
            return
        self._looked = time.monotonic()
        files = [(f"paths.{item.name}", item.tls.cert_file) for item in _listeners(config) if item.tls]
        files += [
            (f"peers {peer.ae_title}", peer.tls_identity.cert_file)
            for peer in config.peers
            if peer.tls_identity
        ]
        self._found = [(what, file, _ends_at(file)) for what, file in files]

    def alarms(self, days: float, now: float) -> list[str]:
        """Certificates that end within `days`, have ended or cannot be read."""
        alarms: list[str] = []
        for what, file, ends in self._found:
            if ends is None:
                alarms.append(f"{what}: the certificate {file} cannot be read")
            elif ends - now < 0:
                alarms.append(f"{what}: the certificate {file} has expired")
            elif ends - now < days * _DAY:
                alarms.append(f"{what}: the certificate {file} expires in {(ends - now) / _DAY:.0f} days")
        return alarms


def _listeners(config: Config) -> tuple[Listener, Listener]:
    return config.cloud_bridge, config.modality_intake


def _ends_at(file: Path) -> float | None:
    from cryptography import x509  # noqa: PLC0415 - only where there are certificates

    try:
        return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None
