"""Which destinations an object goes to (ROUTER-191)."""

from collections.abc import Sequence

from systems.router.config.model import Listener, Rule
from systems.router.objects import Received


def destinations_for(received: Received, listener: Listener, rules: Sequence[Rule]) -> tuple[str, ...]:
    """All destinations of all matching rules; those of the path where there are no rules. Empty: nothing matched."""
    if not rules:
        return listener.destinations
    wanted = [name for rule in rules if matches(rule, received) for name in rule.destinations]
    return tuple(dict.fromkeys(wanted))


def matches(rule: Rule, received: Received) -> bool:
    """Whether the object meets every criterion the rule gives."""
    criteria = (
        (rule.calling_aes, received.calling_ae),
        (rule.called_aes, received.called_ae),
        (rule.sop_classes, received.identity.sop_class_uid),
        (rule.modalities, received.identity.modality),
    )
    return all(not wanted or value in wanted for wanted, value in criteria)
