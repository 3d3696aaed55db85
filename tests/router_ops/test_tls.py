"""ROUTER-126: DICOM TLS on listeners and towards peers; ROUTER-161: certificates that end are alarms."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from pynetdicom import AE

from systems.router.errors import ConfigError
from systems.router.listeners import load_identity
from tests.router.conftest import MakeRouter

_VERIFICATION = "1.2.840.10008.1.1"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def _files(authority: trustme.CA, folder: Path, name: str, days: int = 365) -> tuple[Path, Path]:
    issued = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + timedelta(days=days))
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    issued.private_key_pem.write_to_path(str(key))
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return cert, key


def _table(cert: Path, key: Path, *more: str) -> str:
    lines = ('host = "127.0.0.1"', "port = 0", f'tls_cert_file = "{cert}"', f'tls_key_file = "{key}"', *more)
    return "\n".join(lines)


def _echo(port: int, context: ssl.SSLContext | None) -> bool:
    ae = AE("GDCM")
    ae.add_requested_context(_VERIFICATION)
    ae.acse_timeout = ae.connection_timeout = 5
    arguments = (context, "127.0.0.1") if context else None
    association = ae.associate("127.0.0.1", port, ae_title="QIEROUTER", tls_args=arguments)
    if not association.is_established:
        return False
    status = association.send_c_echo()
    association.release()
    return bool(status.get("Status") == 0)


def test_listener_speaks_tls_only_and_shows_a_renewed_certificate(
    make_router: MakeRouter, authority: trustme.CA, tmp_path: Path
) -> None:
    cert, key = _files(authority, tmp_path, "router", days=3)
    router = make_router(**{"paths_modality-intake": _table(cert, key)})
    context = ssl.create_default_context()
    authority.configure_trust(context)
    assert _echo(router.intake, context)
    assert not _echo(router.intake, None)
    assert any("expires in" in alarm for alarm in router.status()["alarms"])

    before = ssl.get_server_certificate(("127.0.0.1", router.intake))
    _files(authority, tmp_path, "router")
    assert router.ask("POST", "/config/load").json()["applied"] == []
    assert ssl.get_server_certificate(("127.0.0.1", router.intake)) != before
    assert _echo(router.intake, context)
    cert.write_text("no certificate")
    assert router.ask("POST", "/config/load").status_code == 400
    assert _echo(router.intake, context)


def test_listener_that_wants_certificates_takes_nobody_without(
    make_router: MakeRouter, authority: trustme.CA, tmp_path: Path
) -> None:
    cert, key = _files(authority, tmp_path, "router")
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    router = make_router(**{"paths_modality-intake": _table(cert, key, f'tls_client_ca_file = "{ca}"')})
    anonymous, known = ssl.create_default_context(), ssl.create_default_context()
    for context in (anonymous, known):
        authority.configure_trust(context)
    authority.issue_cert("modality").configure_cert(known)
    assert _echo(router.intake, known)
    assert not _echo(router.intake, anonymous)


def test_old_tls_is_refused(make_router: MakeRouter, authority: trustme.CA, tmp_path: Path) -> None:
    cert, key = _files(authority, tmp_path, "router")
    router = make_router(**{"paths_modality-intake": _table(cert, key)})
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with (
        socket.create_connection(("127.0.0.1", router.intake)) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as secure,
    ):
        assert secure.version() in ("TLSv1.2", "TLSv1.3")


def test_key_that_does_not_fit_is_named(authority: trustme.CA, tmp_path: Path) -> None:
    from systems.router.config.model import TlsIdentity

    cert, _ = _files(authority, tmp_path, "one")
    _, key = _files(authority, tmp_path, "two")
    with pytest.raises(ConfigError, match=r"paths\.x\.tls_cert_file"):
        load_identity(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), TlsIdentity(cert, key), "paths.x")


def test_certificate_without_key_is_named(
    make_router: MakeRouter, authority: trustme.CA, tmp_path: Path
) -> None:
    cert, _ = _files(authority, tmp_path, "router")
    table = f'host = "127.0.0.1"\nport = 0\ntls_cert_file = "{cert}"'
    with pytest.raises(pytest.fail.Exception, match="tls_key_file: is missing"):
        make_router(**{"paths_modality-intake": table})
