"""Errors that a person who runs the router should see as one line."""

from pathlib import Path


class RouterError(Exception):
    """What was asked, what is wrong and what to do, in one line without secrets or patient data."""


class ConfigError(RouterError):
    """The configuration cannot be used; the message names the key (exit status 2)."""


class ResourceError(RouterError):
    """A port, folder or file cannot be had (exit status 3)."""


class SpoolFullError(RouterError):
    """The spool is at its hard limit (ROUTER-185)."""


class DamagedError(RouterError):
    """A spooled object is missing or no longer what was received (ROUTER-200)."""

    def __init__(self, sop_instance_uid: str, what: str) -> None:
        super().__init__(f"the spooled copy of {sop_instance_uid} is damaged: {what}")
        self.what = what


class SecretMissingError(RouterError):
    """A secret's file or environment variable holds nothing usable."""

    @classmethod
    def file(cls, path: Path, why: str) -> "SecretMissingError":
        """The file that should hold the secret cannot be read, or is empty."""
        return cls(f"secret file {path} {why}; put the secret there, readable by the router")

    @classmethod
    def env(cls, name: str) -> "SecretMissingError":
        """The environment variable that should hold the secret is not set."""
        return cls(f"environment variable {name} is not set; set it to the secret")
