"""The command line of the DICOM service emulator."""

import argparse
import gc
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from systems.dicom_service.settings import HOSTED_AUDIENCE, LARGEST_FILE, Settings
from systems.dicom_service.web.cors import NO_CORS, CorsPolicy
from systems.shared import logs
from systems.shared.serving import BAD_USAGE, StartError, Tls, bind, serve

PROGRAM = "dicom-service"
DEFAULT_PORT = 8080
IN_MEMORY = ":memory:"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_log = logging.getLogger(__name__)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="A DICOM service for tests and demos, with Microsoft's DICOMweb contract.",
        epilog=f"Try it: `{PROGRAM} serve` serves this computer alone, without tokens, until it ends.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("serve", help="serve until SIGTERM or SIGINT")
    run.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    run.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="port to listen on, 0: any (default: %(default)s)"
    )
    run.add_argument(
        "--data",
        default=IN_MEMORY,
        metavar="DIR|:memory:",
        help="data folder, made when missing; :memory: keeps nothing (default: %(default)s)",
    )
    run.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain, PEM; needs --tls-key")
    run.add_argument("--tls-key", type=Path, metavar="FILE", help="private key, PEM; needs --tls-cert")
    run.add_argument(
        "--authority", metavar="URL", help="OpenID Connect authority of the tenant, https://host/TENANT"
    )
    run.add_argument(
        "--authority-ca", type=Path, metavar="FILE", help="CA certificate that signed the authority's, PEM"
    )
    run.add_argument(
        "--audience",
        action="append",
        metavar="A",
        help=f"accepted audience, repeatable (default: {HOSTED_AUDIENCE})",
    )
    run.add_argument(
        "--no-auth",
        action="store_true",
        help="serve everybody: for a laptop, never for patient data; needs not be said of :memory: on a loopback address",
    )
    run.add_argument("--no-roles", action="store_true", help="let every valid token do everything")
    run.add_argument(
        "--roles-claim",
        default="roles",
        metavar="NAME",
        help="token claim with the roles (default: %(default)s)",
    )
    run.add_argument(
        "--clock-tolerance",
        type=_count,
        default=300,
        metavar="S",
        help="seconds of clock difference (default: %(default)s)",
    )
    run.add_argument(
        "--max-file-size",
        type=_positive,
        default=LARGEST_FILE,
        metavar="BYTES",
        help="largest file stored (default: %(default)s)",
    )
    run.add_argument(
        "--full-validation",
        action="store_true",
        help="validate every element: v1 then refuses what v2 warns about, and v2 names sequences as a whole",
    )
    run.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="origin browsers may call from, repeatable",
    )
    run.add_argument("--cors-method", action="append", metavar="M", help="method they may use, repeatable")
    run.add_argument("--cors-header", action="append", metavar="H", help="header they may send, repeatable")
    run.add_argument("--cors-max-age", type=_count, metavar="S", help="seconds they may remember all this")
    run.add_argument("--cors-credentials", action="store_true", help="let them send cookies and the like")
    run.add_argument(
        "--partitions", action="store_true", help="data partitions: /v2/partitions/NAME/studies and so on"
    )
    run.add_argument(
        "--no-operations",
        action="store_true",
        help="no new operations: tags, updates and exports are refused",
    )
    run.add_argument("--no-export", action="store_true", help="no export, and no storage account built in")
    run.add_argument(
        "--no-export-sas", action="store_true", help="refuse shared access signatures in exports"
    )
    run.add_argument("--no-export-public", action="store_true", help="refuse public containers in exports")
    run.add_argument(
        "--no-secret-store", action="store_true", help="as without one: refuse destinations with secrets"
    )
    run.add_argument(
        "--admin-key-env",
        metavar="NAME",
        help="environment variable with the key of the switches for developers (faults, reset); closed without",
    )
    run.add_argument(
        "--workers", type=_positive, default=1, metavar="N", help="processes (default: %(default)s)"
    )
    run.add_argument(
        "--log-level", choices=logs.LEVELS, default="info", help="least level logged (default: %(default)s)"
    )
    return parser


def _cors(options: argparse.Namespace) -> CorsPolicy:
    usual = NO_CORS
    return CorsPolicy(
        origins=tuple(options.cors_origin),
        methods=tuple(options.cors_method or usual.methods),
        headers=tuple(options.cors_header or usual.headers),
        max_age=options.cors_max_age,
        credentials=options.cors_credentials,
    )


def _port(text: str) -> int:
    value = _count(text)
    if value > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port (0 to 65535)")
    return value


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number")
    return int(text)


def _positive(text: str) -> int:
    value = _count(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    options = _parser().parse_args(arguments)
    logs.configure(PROGRAM, options.log_level)
    try:
        _check(options)
        _serve(options)
    except StartError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return error.code
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.authority is None and not options.no_auth and not _is_private(options):
        raise StartError(
            "--authority is missing: name the OpenID Connect authority, or serve everybody with --no-auth",
            BAD_USAGE,
        )
    if options.authority is not None and options.no_auth:
        raise StartError("--authority and --no-auth exclude each other: leave one out", BAD_USAGE)
    if options.authority is not None and not options.authority.startswith("https://"):
        raise StartError(f"--authority {options.authority} must begin with https://", BAD_USAGE)
    if (options.tls_cert is None) != (options.tls_key is None):
        raise StartError("--tls-cert and --tls-key belong together: give both", BAD_USAGE)
    if options.admin_key_env is not None and not os.environ.get(options.admin_key_env):
        raise StartError(
            f"--admin-key-env {options.admin_key_env}: there is no such environment variable, or it is empty; set it",
            BAD_USAGE,
        )
    for name in ("tls_cert", "tls_key", "authority_ca"):
        file: Path | None = getattr(options, name)
        if file is not None and not file.is_file():
            raise StartError(f"--{name.replace('_', '-')} {file} is not a file", BAD_USAGE)


def _is_private(options: argparse.Namespace) -> bool:
    """Return whether a service keeps nothing and only this computer reaches it: then it may do without tokens unasked."""
    return options.data == IN_MEMORY and options.host in _LOOPBACK


def _announce(options: argparse.Namespace, host: str, port: int) -> None:
    scheme = "https" if options.tls_cert else "http"
    shown = f"[{host}]" if ":" in host else host
    tokens = "tokens are checked" if options.authority else "without authentication"
    kept = "what is stored goes when it ends" if options.data == IN_MEMORY else "what is stored stays"
    _log.info(
        "serving %s://%s:%d/v2, %s, %s",
        scheme,
        shown,
        port,
        tokens,
        kept,
        extra={"host": host, "port": port, "workers": options.workers},
    )


def _admin_key(options: argparse.Namespace) -> str | None:
    return os.environ[options.admin_key_env] if options.admin_key_env else None


def _serve(options: argparse.Namespace) -> None:
    # Imported late: a wrong command line should be answered at once.
    from systems.dicom_service.app import Application  # noqa: PLC0415
    from systems.dicom_service.storage.store import DataFolder  # noqa: PLC0415

    listener = bind(options.host, options.port)
    folder = DataFolder(options.data)
    try:
        folder.prepare()
        if not options.partitions:
            folder.require_one_partition()
        settings = Settings(
            data=folder.path,
            authority=options.authority,
            authority_ca=options.authority_ca,
            audiences=tuple(options.audience or [HOSTED_AUDIENCE]),
            roles_claim=options.roles_claim,
            check_roles=not options.no_roles,
            clock_tolerance=options.clock_tolerance,
            largest_file=options.max_file_size,
            full_validation=options.full_validation,
            cors=_cors(options),
            partitions=options.partitions,
            operations=not options.no_operations,
            export=not (options.no_export or options.no_operations),
            export_sas=not options.no_export_sas,
            export_public=not options.no_export_public,
            secret_store=not options.no_secret_store,
            admin_key=_admin_key(options),
        )
        tls = Tls(options.tls_cert, options.tls_key) if options.tls_cert else None
        application = Application(settings)
        # What start-up made stays for good: keep it out of every collection.
        gc.collect()
        gc.freeze()
        host, port = listener.getsockname()[:2]
        _announce(options, host, port)
        serve(application, listener, tls=tls, workers=options.workers)
    finally:
        listener.close()
        folder.close()


if __name__ == "__main__":
    sys.exit(main())
