"""Settings of a listener and timers of outgoing associations; the defaults are the demo's (ROUTER-029)."""

import ssl
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address

from systems.router.dimse.storage_classes import STORAGE_CLASSES
from systems.router.dimse.uids import (
    QUERY_RETRIEVE_CLASSES,
    STORAGE_COMMITMENT,
    STORAGE_TRANSFER_SYNTAXES,
    UNCOMPRESSED_LE,
    VERIFICATION,
)

DEFAULT_MAX_PDU = 128 * 1024
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class DimseSettings:
    """How a listener negotiates.

    `allowed_calling_aes` and `allowed_networks` empty mean anybody (ROUTER-003); `max_associations` 0 means no limit. Times are seconds,
    `max_pdu` bytes. `query_classes` are the Query/Retrieve (and worklist) classes this listener answers.
    """

    ae_title: str
    check_called_ae: bool = True
    allowed_calling_aes: frozenset[str] = frozenset()
    allowed_networks: tuple[Network, ...] = ()
    max_associations: int = 0
    association_timeout: float = 10.0
    idle_timeout: float = 360.0
    max_pdu: int = DEFAULT_MAX_PDU
    storage_classes: frozenset[str] = STORAGE_CLASSES
    private_storage_classes: frozenset[str] = frozenset()
    query_classes: frozenset[str] = QUERY_RETRIEVE_CLASSES
    storage_transfer_syntaxes: frozenset[str] = frozenset(STORAGE_TRANSFER_SYNTAXES)
    tls: ssl.SSLContext | None = None
    storage_commitment: bool = False

    def allows_address(self, host: str) -> bool:
        """Whether a peer may call from this IP address."""
        if not self.allowed_networks:
            return True
        if not host:
            return False
        address = ip_address(host.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self.allowed_networks)

    def transfer_syntaxes_for(self, abstract_syntax: str) -> frozenset[str] | None:
        """The transfer syntaxes accepted for an abstract syntax; None when the class itself is not supported."""
        if abstract_syntax in self.storage_classes or abstract_syntax in self.private_storage_classes:
            return self.storage_transfer_syntaxes
        if abstract_syntax == STORAGE_COMMITMENT and self.storage_commitment:
            return frozenset(UNCOMPRESSED_LE)
        if abstract_syntax == VERIFICATION or abstract_syntax in self.query_classes:
            return frozenset(UNCOMPRESSED_LE)
        return None


@dataclass(frozen=True, slots=True)
class ClientTimeouts:
    """Seconds: for the TCP connection, for the answer to the association request, and for each silence after that."""

    connect: float = 10.0
    association: float = 10.0
    dimse: float = 40.0


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context to propose; `scp_role` asks to receive C-STORE on it (C-GET)."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...] = field(default=UNCOMPRESSED_LE)
    scp_role: bool = False


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """A presentation context both sides agreed on."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
