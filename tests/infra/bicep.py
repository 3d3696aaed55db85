"""What can be read from the text of a Bicep file without its compiler. A lint, not a verdict: only Azure gives that."""

import re
from dataclasses import dataclass

_PARAMETER = re.compile(r"((?:^@.*\n(?:^(?:  .*|\]\))\n)*)+)^param (\w+) (\w+)(?: = (.+))?$", re.MULTILINE)
_RESOURCE = re.compile(r"^resource (\w+) '([^'@]+)@([^']+)'", re.MULTILINE)


@dataclass(frozen=True)
class Parameter:
    """One `param` with its decorators."""

    name: str
    kind: str
    default: str | None
    decorators: str

    @property
    def description(self) -> str | None:
        """The text of `@description`."""
        found = re.search(r"@description\('((?:[^'\\]|\\.)+)'\)", self.decorators)
        return found.group(1) if found else None

    @property
    def allowed(self) -> tuple[str, ...]:
        """The values of `@allowed`."""
        found = re.search(r"@allowed\(\[\n((?:  '[^']*'\n)+)\]\)", self.decorators)
        return tuple(re.findall(r"'([^']*)'", found.group(1))) if found else ()

    def limit(self, name: str) -> int | None:
        """The number of `@minLength` or `@maxLength`."""
        found = re.search(rf"@{name}\((\d+)\)", self.decorators)
        return int(found.group(1)) if found else None


def parameters(text: str) -> dict[str, Parameter]:
    """Find every decorated parameter."""
    return {
        name: Parameter(name, kind, default or None, decorators)
        for decorators, name, kind, default in _PARAMETER.findall(text)
    }


def resources(text: str) -> dict[str, tuple[str, str]]:
    """Find every resource: its type and API version by its symbolic name."""
    return {name: (kind, version) for name, kind, version in _RESOURCE.findall(text)}


def variables(text: str) -> dict[str, str]:
    """Find every variable that is a plain text."""
    return dict(re.findall(r"^var (\w+) = '([^']*)'$", text, re.MULTILINE))


def block(text: str, opening: str) -> str:
    """Return what stands between the braces or brackets that begin at the end of `opening`."""
    start = text.index(opening) + len(opening)
    depth = 1
    for place in range(start, len(text)):
        depth += (text[place] in "{[") - (text[place] in "}]")
        if depth == 0:
            return text[start:place]
    raise ValueError(f"{opening!r} is never closed")
