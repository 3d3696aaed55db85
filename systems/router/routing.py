"""Which destinations an object goes to (ROUTER-191)."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from systems.router.config.model import Rule, Source
from systems.router.objects import Received


def destinations_for(received: Received, source: Source, rules: Sequence[Rule]) -> tuple[str, ...]:
    """All destinations of all matching rules; those of the path where there are no rules. Empty: nothing matched."""
    if not rules:
        return source.destinations
    wanted = [name for rule in rules if matches(rule, received) for name in rule.destinations]
    return tuple(dict.fromkeys(wanted))


def tags_of(rules: Sequence[Rule]) -> frozenset[int]:
    """The tags whose values the rules want to see."""
    return frozenset(tag for rule in rules for tag, _ in rule.tags)


def matches(rule: Rule, received: Received) -> bool:
    """Whether the object meets every criterion the rule gives."""
    criteria = (
        (rule.calling_aes, received.calling_ae),
        (rule.called_aes, received.called_ae),
        (rule.sop_classes, received.identity.sop_class_uid),
        (rule.modalities, received.identity.modality),
    )
    return all(not wanted or value in wanted for wanted, value in criteria) and all(
        _has_value(received.tags.get(tag), patterns) for tag, patterns in rule.tags
    )


def _has_value(text: str | None, patterns: Sequence[str]) -> bool:
    """Whether one of the values, with `*` and `?` as wildcards and with regard to case, is what is wanted."""
    values = [] if text is None else [value.strip() for value in text.split("\\")]
    return any(fnmatchcase(value, _literal(pattern)) for value in values for pattern in patterns)


def _literal(pattern: str) -> str:
    """DICOM knows no character classes: a bracket is a bracket."""
    return pattern.replace("[", "[[]")
