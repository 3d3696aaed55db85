"""The command line of dicom-viewer."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from systems.shared import logs
from systems.shared.serving import BAD_USAGE, StartError, Tls, bind, serve
from systems.viewer.app import create_app
from systems.viewer.settings import Settings, SettingsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code (0 ended by signal, 2 wrong usage, 3 not available)."""
    options = _parser().parse_args(arguments)
    logs.configure("dicom-viewer", options.log_level)
    try:
        settings = _settings(options)
        settings.check()
        tls = _tls(options)
        listener = bind(options.host, options.port)
        serve(create_app(settings), listener, tls=tls, grace=5)
    except SettingsError as error:
        return _fail(error, BAD_USAGE)
    except StartError as error:
        return _fail(error, error.code)
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        files=options.files,
        dicomweb=options.dicomweb,
        name=options.name,
        authority=options.authority,
        client_id=options.client_id,
        scope=options.scope,
        own_sign_out=options.own_sign_out,
    )


def _tls(options: argparse.Namespace) -> Tls | None:
    given = (("--tls-cert", options.tls_cert), ("--tls-key", options.tls_key))
    if options.tls_cert is None and options.tls_key is None:
        return None
    for name, path in given:
        if path is None or not path.is_file():
            raise SettingsError(f"{name}: there is no file {path}: give --tls-cert and --tls-key, PEM files")
    return Tls(options.tls_cert, options.tls_key)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dicom-viewer",
        description="A zero-footprint viewer for one DICOM service: serves the OHIF viewer, which reads the studies from "
        "the browser by DICOMweb and signs its users in with an OpenID Connect provider.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("serve", help="serve until SIGTERM", description="Serve the viewer.")
    run.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    run.add_argument("--port", type=int, default=8444, help="port to listen on (default %(default)s)")
    run.add_argument("--files", type=Path, required=True, metavar="DIR", help="a prepared OHIF viewer")
    run.add_argument(
        "--dicomweb", required=True, metavar="URL", help="root of the DICOM service, as browsers reach it"
    )
    run.add_argument("--name", default="Cloud", help="what the DICOM service is called (default %(default)s)")
    run.add_argument(
        "--authority", default="", metavar="URL", help="https://HOST/TENANT/v2.0; without it nobody signs in"
    )
    run.add_argument(
        "--client-id", default="", metavar="ID", help="the viewer's registration there (public, PKCE)"
    )
    run.add_argument("--scope", default="", help="what it asks for, such as RESOURCE/.default")
    run.add_argument(
        "--own-sign-out", action="store_true", help="end the sign-out here: the provider has no page for it"
    )
    run.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain, PEM")
    run.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key, PEM")
    run.add_argument("--log-level", choices=logs.LEVELS, default="info", help="default %(default)s")
    return parser


def _fail(error: Exception, code: int) -> int:
    print(f"dicom-viewer: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
