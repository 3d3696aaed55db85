"""Loads and validates the one configuration file (ROUTER-008)."""

import ipaddress
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from systems.router.config import limits, model
from systems.router.config.change_feed import change_feed
from systems.router.config.file_drop import file_drop
from systems.router.config.prefetch import prefetch
from systems.router.config.reader import Section
from systems.router.config.references import check_references
from systems.router.config.spool_keys import spool_keys
from systems.router.config.timers import timer_warnings
from systems.router.config.values import (
    entra_registration,
    file,
    optional_file,
    secret,
    tags,
    tls_identity,
    url,
)
from systems.router.errors import ConfigError

GIB = 1024**3
_DEMO_AUDIENCE = "https://dicom.healthcareapis.azure.com"


def load(path: Path) -> model.Config:
    """Read `path`; relative file names in it are relative to its folder.

    Raises:
        ConfigError: the file cannot be read or a value cannot be used; the message names the key.

    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"configuration {path} cannot be read: {error.strerror}; name an existing file"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"configuration {path} is not UTF-8 text; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"configuration {path} is not valid TOML: {error}") from error
    return parse(values, path.parent)


def parse(values: dict[str, Any], folder: Path) -> model.Config:
    """Validate parsed TOML. See `load`."""
    top = Section(values)
    general = top.section("router", required=True)
    paths = top.section("paths")
    bridge, intake, pacs = _paths(paths, folder)
    drop = file_drop(paths, folder)
    paths.finish()
    peers = tuple(_peer(section, folder) for section in top.sections("peers"))
    destinations = tuple(_destination(section) for section in top.sections("destinations"))
    spool = top.section("spool")
    keys = spool_keys(spool, folder)
    config = model.Config(
        data=file(general, "data", folder),
        log_level=general.choice("log_level", ("debug", "info", "warning", "error"), "info"),
        admin=_admin(top.section("admin", required=True), folder),
        cloud=_cloud(top.section("cloud", required=True), folder),
        peers=peers,
        cloud_bridge=bridge,
        modality_intake=intake,
        pacs_bridge=pacs,
        destinations=destinations,
        rules=tuple(_rule(section) for section in top.sections("rules")),
        backoff=limits.backoff(top.section("backoff")),
        delivery=limits.delivery(top.section("delivery")),
        spool=limits.spool(spool),
        spool_keys=keys,
        timers=limits.timers(top.section("timers")),
        query=limits.query(top.section("query")),
        pacs_rest=limits.pacs_rest(top.section("pacs"), folder),
        migration=limits.migration(top.section("migration")),
        alarms=limits.alarms(top.section("alarms")),
        prefetch=prefetch(top),
        worklist=limits.worklist(top.section("worklist")),
        commitment=limits.commitment(top.section("commitment")),
        completion=limits.completion(top.section("completion")),
        file_drop=drop,
        change_feed=change_feed(top.section("change_feed")),
    )
    general.finish()
    top.finish()
    check_references(config)
    return replace(config, warnings=timer_warnings(config))


def _admin(section: Section, folder: Path) -> model.Admin:
    host = section.text("host", "0.0.0.0")  # noqa: S104
    admin = model.Admin(host, section.port("port", 8081), secret(section, "token", folder))
    section.finish()
    return admin


def _cloud(section: Section, folder: Path) -> model.Cloud:
    ca_file = optional_file(section, "ca_file", folder)
    cloud = model.Cloud(
        base_url=url(section, "base_url"),
        version=section.choice("version", ("v1", "v2", "none"), "v2").replace("none", ""),
        ca_file=ca_file,
        verify_tls=not section.flag("test_only_do_not_verify_tls", default=False),
        proxy=url(section, "proxy") if section.has("proxy") else None,
        store_form=section.choice("store_form", ("multipart", "single"), "multipart"),
        batch_instances=section.integer("batch_instances", 20, low=1, high=1000),
        batch_bytes=section.integer("batch_bytes", 32 * 1024**2, low=1),
        max_request_bytes=section.integer("max_request_bytes", 2 * GIB, low=1),
        connect_seconds=section.number("connect_seconds", 10, low=0.1),
        read_idle_seconds=section.number("read_idle_seconds", 60, low=0.1),
        bytes_per_second=section.integer("expected_bytes_per_second", 1_000_000, low=1),
        credential=_credential(section.section("credential"), folder, ca_file)
        if section.has("credential")
        else None,
    )
    section.finish(also=("credential", "proxy"))
    return cloud


def _credential(section: Section, folder: Path, ca_file: Path | None) -> model.Credential:
    form = section.choice("form", ("v1", "v2"), "v2")
    key, other = ("resource", "scope") if form == "v1" else ("scope", "resource")
    if section.has(other):
        raise section.wrong(other, f"does not belong to form {form}; use {key}")
    default = _DEMO_AUDIENCE if form == "v1" else f"{_DEMO_AUDIENCE}/.default"
    token_url, client_id = entra_registration(section, "token_url", "client_id")
    credential = model.Credential(
        form=form,
        token_url=token_url,
        client_id=client_id,
        secret=secret(section, "secret", folder),
        audience=section.text(key, default),
        ca_file=optional_file(section, "ca_file", folder) or ca_file,
    )
    section.finish()
    return credential


def _peer(section: Section, folder: Path) -> model.Peer:
    timer = section.number("timer_seconds", 10, low=1)
    peer = model.Peer(
        ae_title=section.ae_title("ae_title"),
        host=section.text("host"),
        port=section.integer("port", low=1, high=65535),
        tls=section.flag("tls", default=False),
        tls_ca_file=optional_file(section, "tls_ca_file", folder),
        timer_seconds=timer,
        bound_seconds=section.number("bound_seconds", 8, low=0.1),
        relational_queries=section.flag("relational_queries", default=False),
        tls_identity=tls_identity(section, folder),
    )
    section.finish()
    return peer


def _paths(section: Section, folder: Path) -> tuple[model.Listener, model.Listener, model.PacsBridge]:
    pacs = section.section(model.PACS_BRIDGE)
    bridge = model.PacsBridge(
        enabled=pacs.flag("enabled", default=True),
        peer=pacs.ae_title("peer", "ORTHANC"),
        calling_ae_title=pacs.ae_title("calling_ae_title", "QIETOAZURE"),
        keep_calling_ae=pacs.flag("keep_calling_ae", default=True),
    )
    pacs.finish()
    cloud = _listener(section.section(model.CLOUD_BRIDGE), model.CLOUD_BRIDGE, folder)
    intake = _listener(section.section(model.MODALITY_INTAKE), model.MODALITY_INTAKE, folder)
    return cloud, intake, bridge


def _listener(section: Section, name: str, folder: Path) -> model.Listener:
    is_bridge = name == model.CLOUD_BRIDGE
    ae_title, port = ("QIETOAZURE", 4006) if is_bridge else ("QIEROUTER", 4007)
    networks = section.texts("allowed_networks")
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise section.wrong(
                "allowed_networks", f"{network!r} is not a network such as 10.0.1.0/24"
            ) from error
    listener = model.Listener(
        name=name,
        enabled=section.flag("enabled", default=True),
        ae_title=section.ae_title("ae_title", ae_title),
        host=section.text("host", "0.0.0.0"),  # noqa: S104
        port=section.port("port", port),
        check_called_ae=section.flag("check_called_ae", default=True),
        allowed_calling_aes=section.texts("allowed_calling_aes"),
        allowed_networks=networks,
        max_associations=section.integer("max_associations", 0),
        private_sop_classes=section.texts("private_sop_classes"),
        mode=section.choice("mode", ("synchronous", "queued"), "synchronous") if is_bridge else "queued",
        destinations=section.texts("destinations", ("cloud",) if is_bridge else ("ORTHANC", "cloud")),
        tls=tls_identity(section, folder, takes_clients=True),
    )
    section.finish()
    return listener


def _destination(section: Section) -> model.Destination:
    name = section.text("name")
    kind = section.choice("kind", ("dimse", "dicomweb"))
    if kind == "dicomweb" and section.has("peer"):
        raise section.wrong("peer", "belongs to kind dimse; a dicomweb destination is the [cloud] table")
    destination = model.Destination(
        name=name,
        kind=kind,
        peer=section.ae_title("peer", name) if kind == "dimse" else "",
        concurrency=section.integer("concurrency", 2 if kind == "dimse" else 4, low=1, high=64),
        rate_per_second=section.number("rate_per_second", 0),
        max_failures=section.integer("max_failures", 5, low=1),
        mandatory=section.flag("mandatory", default=True),
    )
    section.finish(also=("peer",))
    return destination


def _rule(section: Section) -> model.Rule:
    rule = model.Rule(
        name=section.text("name"),
        destinations=section.texts("destinations"),
        calling_aes=section.texts("calling_ae_titles"),
        called_aes=section.texts("called_ae_titles"),
        sop_classes=section.texts("sop_classes"),
        modalities=section.texts("modalities"),
        tags=tags(section, "tags"),
    )
    section.finish()
    return rule
