"""How to reach the peers of the table."""

import ssl

from systems.router.config.model import Peer
from systems.router.listeners import load_identity


def peer_tls(peer: Peer) -> ssl.SSLContext | None:
    """The TLS context towards a peer, or None for plain DICOM."""
    if not peer.tls:
        return None
    context = ssl.create_default_context(cafile=str(peer.tls_ca_file) if peer.tls_ca_file else None)
    if peer.tls_identity is not None:
        load_identity(context, peer.tls_identity, f"peers {peer.ae_title}")
    return context
