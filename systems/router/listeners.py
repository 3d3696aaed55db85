"""How the two listening paths negotiate, from the configuration."""

import ssl
from ipaddress import ip_network

from systems.router.config.model import CLOUD_BRIDGE, Config, Listener, TlsIdentity
from systems.router.dimse.settings import DimseSettings
from systems.router.dimse.uids import GET_CLASSES, MODALITY_WORKLIST_FIND, QUERY_RETRIEVE_CLASSES
from systems.router.errors import ConfigError


def dimse_settings(config: Config, listener: Listener, tls: ssl.SSLContext | None) -> DimseSettings:
    """Who may call, which classes are answered, and the timers."""
    timers = config.timers
    return DimseSettings(
        ae_title=listener.ae_title,
        check_called_ae=listener.check_called_ae,
        allowed_calling_aes=frozenset(listener.allowed_calling_aes),
        allowed_networks=tuple(map(ip_network, listener.allowed_networks)),
        max_associations=listener.max_associations,
        association_timeout=timers.association_request_seconds,
        idle_timeout=timers.idle_seconds,
        max_pdu=timers.max_pdu_bytes,
        private_storage_classes=frozenset(listener.private_sop_classes),
        query_classes=_query_classes(config, listener),
        tls=tls,
        storage_commitment=config.commitment.enabled,
    )


def _query_classes(config: Config, listener: Listener) -> frozenset[str]:
    if listener.name != CLOUD_BRIDGE:
        return frozenset({MODALITY_WORKLIST_FIND}) if config.worklist.peer else frozenset()
    return QUERY_RETRIEVE_CLASSES if config.query.c_get else QUERY_RETRIEVE_CLASSES - GET_CLASSES


def listener_tls(listener: Listener) -> ssl.SSLContext | None:
    """The TLS context of a listener, None for plain DICOM (ROUTER-126; BCP 195: TLS 1.2 or newer).

    Raises:
        ConfigError: certificate and key cannot be used.

    """
    if listener.tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_identity(context, listener.tls, f"paths.{listener.name}")
    if listener.tls.client_ca_file is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def load_identity(context: ssl.SSLContext, identity: TlsIdentity, key: str) -> None:
    """Read certificate and key, also anew into a context in use: new connections then show the new certificate.

    Raises:
        ConfigError: the files cannot be used; `key` names the table they are of.

    """
    try:
        context.load_cert_chain(identity.cert_file, identity.key_file)
        if identity.client_ca_file is not None:
            context.load_verify_locations(identity.client_ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{key}.tls_cert_file: {identity.cert_file} and {identity.key_file} cannot be used: {error}; "
            "give a PEM certificate (chain) and its unencrypted key"
        ) from error
