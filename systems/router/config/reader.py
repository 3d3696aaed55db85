"""Reads typed values from parsed TOML; every complaint names the key and the remedy."""

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from systems.router.errors import ConfigError

_REQUIRED: Any = object()

_Word = TypeVar("_Word", bound=str)


class Section:
    """One TOML table. Remembers what was read, so that a misspelt key is found by `finish`."""

    def __init__(self, values: Mapping[str, Any], name: str = "") -> None:
        self._values = values
        self._name = name
        self._read: set[str] = set()

    def key(self, key: str) -> str:
        """The full dotted name of `key`, as messages show it."""
        return f"{self._name}.{key}" if self._name else key

    def wrong(self, key: str, why: str) -> ConfigError:
        """A complaint about `key`."""
        return ConfigError(f"{self.key(key)}: {why}")

    def has(self, key: str) -> bool:
        """Whether the table holds `key`."""
        return key in self._values

    def names(self) -> list[str]:
        """The keys of a table whose keys are free to choose."""
        return list(self._values)

    def _take(self, key: str, default: Any, kinds: tuple[type, ...], wanted: str) -> Any:
        self._read.add(key)
        value = self._values.get(key, default)
        if value is _REQUIRED:
            raise self.wrong(key, f"is missing; set it to {wanted}")
        if value is not default and (
            not isinstance(value, kinds) or (bool not in kinds and isinstance(value, bool))
        ):
            raise self.wrong(key, f"is {value!r}; set it to {wanted}")
        return value

    def text(self, key: str, default: str = _REQUIRED) -> str:
        """A non-empty string."""
        value: str = self._take(key, default, (str,), "a text in quotes")
        if key in self._values and not value.strip():
            raise self.wrong(key, "is empty; give a value or leave the key out")
        return value

    def optional_text(self, key: str) -> str | None:
        """A non-empty string, or None where the key is absent."""
        self._read.add(key)
        return self.text(key) if self.has(key) else None

    def integer(self, key: str, default: int = _REQUIRED, *, low: int = 0, high: int = 2**63 - 1) -> int:
        """A whole number within `low` and `high`."""
        value: int = self._take(key, default, (int,), "a whole number")
        if not low <= value <= high:
            raise self.wrong(key, f"is {value}; it must lie between {low} and {high}")
        return value

    def number(self, key: str, default: float = _REQUIRED, *, low: float = 0.0, high: float = 1e15) -> float:
        """A number within `low` and `high`."""
        value = float(self._take(key, default, (int, float), "a number"))
        if not low <= value <= high:
            raise self.wrong(key, f"is {value:g}; it must lie between {low:g} and {high:g}")
        return value

    def flag(self, key: str, default: bool = _REQUIRED) -> bool:
        """`true` or `false`."""
        value: bool = self._take(key, default, (bool,), "true or false")
        return value

    def choice(self, key: str, choices: tuple[_Word, ...], default: str = _REQUIRED) -> _Word:
        """One of the words in `choices`."""
        value = self.text(key, default)
        for word in choices:
            if word == value:
                return word
        raise self.wrong(key, f"is {value!r}; it must be one of {', '.join(choices)}")

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of non-empty strings."""
        values = self._take(key, default, (list,), "a list of texts")
        if any(not isinstance(value, str) or not value.strip() for value in values):
            raise self.wrong(key, "must be a list of non-empty texts")
        return tuple(values)

    def ae_title(self, key: str, default: str = _REQUIRED) -> str:
        """An AE title: 1 to 16 characters, no backslash, no control characters (PS3.5 6.2, VR AE)."""
        value = self.text(key, default).strip()
        if not 1 <= len(value) <= 16 or "\\" in value or not value.isascii() or not value.isprintable():
            raise self.wrong(
                key, f"is {value!r}; an AE title has 1 to 16 printable characters and no backslash"
            )
        return value

    def port(self, key: str, default: int = _REQUIRED) -> int:
        """A TCP port; 0 asks for any free one."""
        return self.integer(key, default, low=0, high=65535)

    def section(self, key: str, *, required: bool = False) -> "Section":
        """The table `key`; empty when absent and not required."""
        self._read.add(key)
        value = self._values.get(key)
        if value is None:
            if required:
                raise self.wrong(key, f"is missing; add a table [{self.key(key)}]")
            value = {}
        if not isinstance(value, Mapping):
            raise self.wrong(key, f"must be a table [{self.key(key)}]")
        return Section(value, self.key(key))

    def sections(self, key: str) -> list["Section"]:
        """The array of tables `key`."""
        self._read.add(key)
        values = self._values.get(key, [])
        if not isinstance(values, list) or any(not isinstance(value, Mapping) for value in values):
            raise self.wrong(key, f"must be tables, each beginning with [[{self.key(key)}]]")
        return [Section(value, f"{self.key(key)}[{index}]") for index, value in enumerate(values)]

    def finish(self, also: tuple[str, ...] = ()) -> None:
        """Refuse keys that nothing reads: a misspelt limit must not be silently ignored."""
        known = self._read | set(also)
        for key in self._values:
            if key not in known:
                close = difflib.get_close_matches(key, sorted(known), n=1)
                hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(sorted(known))}"
                raise self.wrong(key, f"is not a key of the router's configuration; {hint}")
