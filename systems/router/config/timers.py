"""Says where the timers of peers, router and cloud do not fit together (ROUTER-202)."""

from systems.router.config.model import Config

_QUEUED_ADVICE = 'use paths.cloud-bridge.mode = "queued" or a longer timer at the peer'


def timer_warnings(config: Config) -> tuple[str, ...]:
    """What a person should know about bounds that do not fit; empty when all fit."""
    warnings = [
        f"peers {peer.ae_title}: bound_seconds {peer.bound_seconds:g} is not below the peer's own timer "
        f"{peer.timer_seconds:g} s, so it may give up before it is answered; lower bound_seconds or {_QUEUED_ADVICE}"
        for peer in config.peers
        if peer.bound_seconds >= peer.timer_seconds
    ]
    shortest = min([peer.bound_seconds for peer in config.peers] + [config.timers.default_bound_seconds])
    if config.query.search_bound_seconds > shortest:
        warnings.append(
            f"query.search_bound_seconds {config.query.search_bound_seconds:g} is above the shortest bound towards a "
            f"peer ({shortest:g} s); lower it"
        )
    if not config.cloud.verify_tls:
        warnings.append("cloud.test_only_do_not_verify_tls is on: the cloud's certificate is not verified")
    if config.cloud.credential is None:
        warnings.append("cloud.credential is absent: requests to the cloud carry no token")
    return tuple(warnings)


def timer_table(config: Config) -> list[dict[str, str | float]]:
    """For each peer: its timer, the router's bound towards it, and the HTTP limits behind that bound."""
    return [
        {
            "peer": peer.ae_title,
            "peer_timer_seconds": peer.timer_seconds,
            "bound_seconds": peer.bound_seconds,
            "cloud_connect_seconds": config.cloud.connect_seconds,
            "cloud_read_idle_seconds": config.cloud.read_idle_seconds,
        }
        for peer in config.peers
    ]
