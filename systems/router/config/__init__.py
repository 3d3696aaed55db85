"""The router's one configuration file: model, loading, export."""

from systems.router.config.export import export
from systems.router.config.load import load, parse
from systems.router.config.model import (
    CLOUD_BRIDGE,
    MODALITY_INTAKE,
    PACS_BRIDGE,
    PATHS,
    Cloud,
    Config,
    Credential,
    Destination,
    Listener,
    Peer,
    SecretSource,
)

__all__ = [
    "CLOUD_BRIDGE",
    "MODALITY_INTAKE",
    "PACS_BRIDGE",
    "PATHS",
    "Cloud",
    "Config",
    "Credential",
    "Destination",
    "Listener",
    "Peer",
    "SecretSource",
    "export",
    "load",
    "parse",
]
