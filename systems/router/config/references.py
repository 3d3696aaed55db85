"""Checks that the tables of a configuration fit together."""

from systems.router.config.model import Config
from systems.router.errors import ConfigError


def check_references(config: Config) -> None:
    """Whether what names something else names something there.

    Raises:
        ConfigError: it does not; the message names the key.

    """
    names = [destination.name for destination in config.destinations]
    titles = [peer.ae_title for peer in config.peers]
    _check_names(config, names, titles)
    for listener in (config.cloud_bridge, config.modality_intake):
        _check_destinations(f"paths.{listener.name}.destinations", listener.destinations, names)
    _check_file_drop(config, names)
    for index, rule in enumerate(config.rules):
        _check_destinations(f"rules[{index}].destinations", rule.destinations, names)
    if config.worklist.peer and config.worklist.peer not in titles:
        raise ConfigError(f"worklist.peer: {config.worklist.peer} is not in [[peers]]; add it there")
    if config.pacs_bridge.peer not in titles:
        raise ConfigError(
            f"paths.pacs-bridge.peer: {config.pacs_bridge.peer} is not in [[peers]]; add it there"
        )
    if config.cloud_bridge.destinations != tuple(d.name for d in config.destinations if d.kind == "dicomweb"):
        raise ConfigError("paths.cloud-bridge.destinations: must name the one destination of kind dicomweb")


def _check_names(config: Config, names: list[str], titles: list[str]) -> None:
    for what, values in (("destinations", names), ("peers", titles)):
        twice = {value for value in values if values.count(value) > 1}
        if twice:
            raise ConfigError(f"{what}: {sorted(twice)[0]} is there twice; give each one its own name")
    for destination in config.destinations:
        if destination.kind == "dimse" and destination.peer not in titles:
            raise ConfigError(
                f"destinations: {destination.name} names peer {destination.peer}; add it to [[peers]]"
            )
    if sum(destination.kind == "dicomweb" for destination in config.destinations) > 1:
        raise ConfigError("destinations: only one destination may be of kind dicomweb, the [cloud] table")


def _check_file_drop(config: Config, names: list[str]) -> None:
    drop = config.file_drop
    if drop is None:
        return
    _check_destinations("paths.file-drop.destinations", drop.destinations, names)
    for key, place in (("folder", drop.folder), ("archive", drop.archive), ("rejected", drop.rejected)):
        if config.data.resolve().is_relative_to(place):
            raise ConfigError(
                f"paths.file-drop.{key}: {place} holds the router's own data folder; give it another one"
            )


def _check_destinations(key: str, wanted: tuple[str, ...], names: list[str]) -> None:
    if not wanted:
        raise ConfigError(f"{key}: is empty; name at least one destination")
    for name in wanted:
        if name not in names:
            raise ConfigError(
                f"{key}: {name} is not in [[destinations]]; known: {', '.join(names) or 'none'}"
            )
