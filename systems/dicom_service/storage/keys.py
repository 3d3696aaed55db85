"""How values are compared in searches: case, accents, padding and words (QIDO-053 to QIDO-055, QIDO-071 to QIDO-073)."""

import re
import unicodedata


def text_key(value: str) -> str:
    """Return the form in which strings are equal: letter case and padding do not count, accents do."""
    return value.rstrip(" \0").casefold()


def name_key(value: str) -> str:
    """Return the form in which person names are equal: letter case, accents and padding do not count."""
    if value.isascii():
        return value.rstrip(" \0").casefold()
    decomposed = unicodedata.normalize("NFD", value.rstrip(" \0").casefold())
    return unicodedata.normalize(
        "NFC", "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    )


def has_phrase(key: str | None, phrase: str) -> int:
    """Return 1 when adjacent words of the name `key` begin with the words of `phrase`, one for one, else 0."""
    if not key:
        return 0
    present, wanted = words(key), words(phrase)
    last = len(present) - len(wanted)
    return int(
        bool(wanted)
        and any(
            all(word.startswith(start) for word, start in zip(present[at:], wanted, strict=False))
            for at in range(last + 1)
        )
    )


def words(key: str) -> list[str]:
    """Return the words of a name: what stands between blanks, carets and equals signs."""
    return [word for word in re.split(r"[\s^=]+", key) if word]
