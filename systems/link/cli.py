"""The command line of fault-link."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from systems.link.config import Config, ConfigError, load_config
from systems.link.control import Control, Link
from systems.link.front import HttpFront
from systems.link.route import Route
from systems.shared import logs
from systems.shared.serving import BAD_USAGE, StartError, bind, serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code (0 ended by signal, 2 wrong usage, 3 not available)."""
    options = _parser().parse_args(arguments)
    logs.configure("fault-link", options.log_level)
    try:
        config = load_config(options.config, os.environ)
        listener = bind(config.control.host, config.control.port)
        serve(Control(build(config), config.control_key).application(), listener, grace=2)
    except ConfigError as error:
        return _fail(error, BAD_USAGE)
    except StartError as error:
        return _fail(error, error.code)
    return 0


def build(config: Config) -> Link:
    """Make the routes of a configuration and take their ports. Raises `ConfigError` and `StartError`."""
    routes: dict[str, Route] = {}
    fronts: dict[str, HttpFront] = {}
    for route in config.routes:
        if route.http is not None:
            try:
                fronts[route.name] = HttpFront(route)
            except OSError as error:
                raise ConfigError(
                    f"route {route.name}: tls_cert, tls_key or target_ca cannot be used: {error}"
                ) from error
        front = fronts.get(route.name)
        routes[route.name] = Route(route, front.open if front else None)
    return Link(routes, fronts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fault-link",
        description="A proxy between two networks whose routes can be refused, silenced, reset, slowed or cut, and "
        "which records and alters HTTP exchanges on the routes where it is told to.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("serve", help="carry traffic until SIGTERM", description="Carry traffic.")
    command.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML, see docs/link.md")
    command.add_argument("--log-level", choices=logs.LEVELS, default="info", help="default %(default)s")
    return parser


def _fail(error: Exception, code: int) -> int:
    print(f"fault-link: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
