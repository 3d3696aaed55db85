"""What a viewer is started with: which service it reads from, and who signs its users in."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


class SettingsError(ValueError):
    """The settings cannot be used; the message names the option and the remedy."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`files` is a prepared OHIF viewer, `dicomweb` the root of the DICOM service with its version segment.

    `authority` is the v2 issuer's URL (`https://HOST/TENANT/v2.0`), empty when nobody signs in. With `own_sign_out` the
    sign-out ends on the viewer's own page, for an identity provider that has none.
    """

    files: Path
    dicomweb: str
    name: str = "Cloud"
    authority: str = ""
    client_id: str = ""
    scope: str = ""
    own_sign_out: bool = False

    def check(self) -> None:
        """Look whether a viewer can be served with this.

        Raises:
            SettingsError: the first thing that is wrong.

        """
        if not (self.files / "index.html").is_file():
            raise SettingsError(
                f"--files: {self.files} has no index.html: give the folder of a prepared viewer (python3 -m tools.viewer)"
            )
        origin(self.dicomweb, "--dicomweb")
        if self.authority:
            origin(self.authority, "--authority")
        missing = [
            name for name, value in (("--client-id", self.client_id), ("--scope", self.scope)) if not value
        ]
        if self.authority and missing:
            raise SettingsError(f"--authority needs {' and '.join(missing)} too")

    def for_page(self) -> dict[str, str | bool]:
        """Return what the page is told; nothing in it is secret."""
        return {
            "name": self.name,
            "dicomweb": self.dicomweb.rstrip("/"),
            "authority": self.authority.rstrip("/"),
            "clientId": self.client_id,
            "scope": self.scope,
            "ownSignOut": self.own_sign_out,
        }

    def origins(self) -> tuple[str, ...]:
        """Return the origins that the page may speak to, besides its own."""
        found = [origin(self.dicomweb, "--dicomweb")]
        if self.authority:
            found.append(origin(self.authority, "--authority"))
        return tuple(dict.fromkeys(found))


def origin(url: str, option: str) -> str:
    """Return scheme, host and port of a URL (RFC 6454).

    Raises:
        SettingsError: it is no http or https URL.

    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"{option}: {url!r} is no plain URL: write it as https://host:port/path")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
