"""How to reach the peers of the table."""

import ssl

from systems.router.config.model import Peer


def peer_tls(peer: Peer) -> ssl.SSLContext | None:
    """The TLS context towards a peer, or None for plain DICOM."""
    if not peer.tls:
        return None
    return ssl.create_default_context(cafile=str(peer.tls_ca_file) if peer.tls_ca_file else None)
