"""The command `dicom-router`."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from systems.router import logs
from systems.router.cloud.http import CloudHttp
from systems.router.cloud.uploader import Uploader
from systems.router.config import Config, export, load
from systems.router.errors import ConfigError, ResourceError
from systems.router.loop import RouterLoop
from systems.router.migration.model import Selection
from systems.router.migrations import Migrations
from systems.router.runtime import Router, distribution_version, make_tokens

T = TypeVar("T")

log = logging.getLogger("systems.router")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 a migration failed or differences were found, 2 wrong usage or configuration, 3 no port or folder."""
    options = _parser().parse_args(arguments)
    try:
        config = load(options.config)
        logs.configure(options.log_level or config.log_level)
        code = options.run(config, options)
    except ConfigError as error:
        print(f"dicom-router: {error}", file=sys.stderr)
        code = 2
    except ResourceError as error:
        print(f"dicom-router: {error}", file=sys.stderr)
        code = 3
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dicom-router",
        description="Routes DICOM objects between modalities, a PACS and a DICOMweb cloud, and loses none.",
        epilog="A commented configuration is systems/router/example.toml; the admin interface describes itself at /openapi.json.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "serve", "run the router until SIGTERM", _serve)
    _command(commands, "check", "validate a configuration and show what would be in force", _check)
    migrate = _command(
        commands, "migrate", "copy studies from the PACS to the cloud, oldest first, and prove them", _migrate
    )
    what = migrate.add_mutually_exclusive_group(required=True)
    what.add_argument("--oldest", type=int, metavar="N", help="the N studies with the smallest study date")
    what.add_argument(
        "--bytes", type=int, metavar="N", help="the oldest studies that together are not larger"
    )
    what.add_argument("--before", metavar="YYYYMMDD", help="all studies with an earlier study date")
    what.add_argument("--study", action="append", metavar="UID", help="a Study Instance UID; may be repeated")
    what.add_argument("--resume", metavar="ID", help="go on with a migration that failed or was interrupted")
    migrate.add_argument(
        "--delete", action="store_true", help="delete from the PACS what is proven in the cloud"
    )
    migrate.add_argument("--dry-run", action="store_true", help="only list what would be migrated")
    _add_reconcile(commands)
    _add_change_feed(commands)
    return parser


def _add_reconcile(commands: Any) -> None:
    text = "compare what was delivered with what PACS and cloud hold; changes nothing without --repair"
    command = _command(commands, "reconcile", text, _reconcile)
    command.add_argument(
        "--since", metavar="TIME", help="received from then on, such as 2026-01-31T08:00 (UTC)"
    )
    command.add_argument("--until", metavar="TIME", help="received before")
    command.add_argument("--study", action="append", metavar="UID", help="only this study; may be repeated")
    command.add_argument("--deep", action="store_true", help="read every copy back and compare its content")
    command.add_argument("--repair", action="store_true", help="put what is missing back into its queue")
    command.add_argument("--resume", metavar="ID", default="", help="go on with one that ended incomplete")
    command.add_argument("--signed-off-by", metavar="NAME", default="", help="who answers for the report")
    command.add_argument("--json", action="store_true", help="print the report as JSON, not as text")


def _add_change_feed(commands: Any) -> None:
    text = "print the cloud's change feed as JSON lines; deletes nothing unless told so three times"
    command = _command(commands, "change-feed", text, _change_feed)
    command.add_argument(
        "--offset",
        type=int,
        default=0,
        metavar="N",
        help="where to begin: after sequence number N (v1), without the first N entries (v2)",
    )
    command.add_argument("--limit", type=int, metavar="N", help="at most so many entries")
    command.add_argument("--metadata", action="store_true", help="with each instance's attributes")
    command.add_argument(
        "--reconcile",
        action="store_true",
        help="with what this router delivered; exit 1 when the feed lacks something of it",
    )
    command.add_argument(
        "--purge",
        action="append",
        metavar="UID",
        help="delete this study from the cloud instead of reading; may be repeated; needs change_feed.allow_purge",
    )
    command.add_argument(
        "--yes-delete-studies", action="store_true", help="confirms that --purge deletes studies"
    )


def _command(commands: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.add_argument(
        "--config", type=Path, required=True, metavar="FILE.toml", help="the configuration file"
    )
    command.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), help="instead of the file's"
    )
    command.set_defaults(run=run)
    return command


def _run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=RouterLoop) as runner:
        return runner.run(work)


def _check(config: Config, _: argparse.Namespace) -> int:
    print(orjson.dumps(export(config), option=orjson.OPT_INDENT_2).decode())
    for warning in config.warnings:
        print(f"dicom-router: warning: {warning}", file=sys.stderr)
    return 0


def _serve(config: Config, options: argparse.Namespace) -> int:
    return _run(_serve_until_stopped(config, options))


async def _serve_until_stopped(config: Config, options: argparse.Namespace) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    router = Router(config, options.config, keep_log_level=options.log_level is not None)
    hung_up = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    reloading = asyncio.create_task(_reload_on(hung_up, router))
    try:
        await router.start()
        await stopped.wait()
        log.info("stopping")
    finally:
        reloading.cancel()
        await router.stop()
    return 0


async def _reload_on(hung_up: asyncio.Event, router: Router) -> None:
    while True:
        await hung_up.wait()
        hung_up.clear()
        await router.reloading.on_signal()


def _reconcile(config: Config, options: argparse.Namespace) -> int:
    # Only this command needs them, and every start would pay for them.
    from systems.router.reconcile.command import reconcile  # noqa: PLC0415
    from systems.router.reconcile.model import Request  # noqa: PLC0415

    body = {
        "studies": options.study or [],
        "deep": options.deep,
        "repair": options.repair,
        "signed_off_by": options.signed_off_by,
    }
    body |= {key: value for key in ("since", "until") if (value := getattr(options, key)) is not None}

    async def work() -> int:
        request = Request.from_json(body)
        found = await reconcile(config, request, options.resume, make_tokens, distribution_version())
        text = found.pop("text")
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() if options.json else text)
        return 0 if found["agrees"] else 1

    return _run(work())


def _change_feed(config: Config, options: argparse.Namespace) -> int:
    # Only this command needs them, and every start would pay for them.
    from systems.router.feed.command import delete, read  # noqa: PLC0415
    from systems.router.feed.reader import Wanted  # noqa: PLC0415

    if options.purge:
        work = delete(config, options.purge, confirmed=options.yes_delete_studies, make_tokens=make_tokens)
        outcomes = _run(work)
        for outcome in outcomes:
            _print_line(outcome)
        return 0 if all(row["outcome"] in ("deleted", "not there") for row in outcomes) else 1
    query = {key: str(value) for key in ("offset", "limit") if (value := getattr(options, key)) is not None}
    query |= {key: str(getattr(options, key)) for key in ("metadata", "reconcile")}
    wanted = Wanted.from_query(query)
    return 0 if _run(read(config, wanted, make_tokens, _print_line)) else 1


def _print_line(line: dict[str, Any]) -> None:
    print(orjson.dumps(line).decode())


def _migrate(config: Config, options: argparse.Namespace) -> int:
    return _run(_migrate_now(config, options))


async def _migrate_now(config: Config, options: argparse.Namespace) -> int:
    http = CloudHttp(config.cloud, make_tokens(config))
    migrations = Migrations(config, Uploader(http, config.cloud))
    try:
        job = await _job(migrations, options)
        await migrations.run(job)
        report = await migrations.report(job)
    finally:
        await migrations.close()
        await http.close()
    print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    return 0 if report is not None and report["state"] == "done" else 1


async def _job(migrations: Migrations, options: argparse.Namespace) -> str:
    migrations.require_pacs()
    if options.resume:
        if await migrations.ledger.selection(options.resume) is None:
            raise ConfigError(f"--resume: there is no migration {options.resume} in this data folder")
        await migrations.ledger.reopen(options.resume)
        return str(options.resume)
    chosen = (
        ("oldest", options.oldest),
        ("bytes", options.bytes),
        ("before", options.before),
        ("studies", options.study),
    )
    select = {key: value for key, value in chosen if value is not None}
    body = {"select": select, "delete": options.delete, "dry_run": options.dry_run}
    return await migrations.ledger.new_job(Selection.from_json(body))


if __name__ == "__main__":
    main()
