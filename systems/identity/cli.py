"""The command line of entra-id."""

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from systems.identity.app import create_app
from systems.identity.config import Config, ConfigError, load_config
from systems.identity.keys import KeyFileError, KeyRing
from systems.identity.tenant import Tenant
from systems.shared import logs
from systems.shared.serving import BAD_USAGE, UNAVAILABLE, StartError, Tls, bind, serve

_WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, not bound


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code (0 ended by signal, 2 wrong usage, 3 not available)."""
    options = _parser().parse_args(arguments)
    logs.configure("entra-id", options.log_level)
    try:
        _serve(options)
    except ConfigError as error:
        return _fail(error, BAD_USAGE)
    except KeyFileError as error:
        return _fail(error, UNAVAILABLE)
    except StartError as error:
        return _fail(error, error.code)
    return 0


def _serve(options: argparse.Namespace) -> None:
    config = load_config(options.config, os.environ)
    for name, path in (("--tls-cert", options.tls_cert), ("--tls-key", options.tls_key)):
        if not path.is_file():
            raise ConfigError(f"{name}: there is no file {path}: give a PEM file")
    listener = bind(options.host, options.port)
    keys = KeyRing(config.state_file)
    tenant = Tenant(config, _authority(config, options.host, listener), keys)
    serve(create_app(tenant, config.admin_key), listener, tls=Tls(options.tls_cert, options.tls_key), grace=5)


def _authority(config: Config, host: str, listener: socket.socket) -> str:
    if config.authority:
        return config.authority
    name = socket.gethostname() if host in _WILDCARDS else host
    name = f"[{name}]" if ":" in name else name
    return f"https://{name}:{listener.getsockname()[1]}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="entra-id",
        description="A stand-in for Microsoft Entra ID: issues signed tokens for the applications and users of one "
        "tenant, with the endpoints, claims and errors that Microsoft's clients expect.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "serve", help="serve one tenant until SIGTERM", description="Serve one tenant."
    )
    command.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="TOML, see docs/identity.md"
    )
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    command.add_argument("--port", type=int, default=8443, help="port to listen on (default %(default)s)")
    command.add_argument(
        "--tls-cert", type=Path, required=True, metavar="FILE", help="certificate chain, PEM"
    )
    command.add_argument("--tls-key", type=Path, required=True, metavar="FILE", help="its private key, PEM")
    command.add_argument("--log-level", choices=logs.LEVELS, default="info", help="default %(default)s")
    return parser


def _fail(error: Exception, code: int) -> int:
    print(f"entra-id: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
