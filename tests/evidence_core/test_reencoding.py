"""A legal re-encoding keeps the fingerprint the same; any single change does not."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from fixtures.data import Run
from fixtures.data.odd import _identified, _image, odd_elements
from fixtures.data.odd_encoding import OddElement, _meta, encode, part10_of
from fixtures.evidence.canonical import TEXT_VRS
from fixtures.evidence.fingerprint import differences, fingerprint, same

Elements = tuple[OddElement, ...]
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def complete(draw: st.DrawFn) -> Elements:
    return _identified(draw(odd_elements()), Run("re-encoding"), 1, 1) + _image(draw(st.integers(1, 3)))


def deflated(elements: Elements) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    body = packer.compress(encode(elements)) + packer.flush()
    values = {e.tag: e.value for e in elements}
    return _meta(values[0x00080016], values[0x00080018], DeflatedExplicitVRLittleEndian) + body


def other_lengths(elements: Elements) -> Elements:
    """Undefined lengths become defined ones and the other way round, at all levels."""
    return tuple(
        replace(e, undefined=not e.undefined, items=tuple(other_lengths(i) for i in e.items))
        if e.items is not None
        else e
        for e in elements
    )


def with_group_lengths(elements: Elements) -> Elements:
    groups = {e.tag >> 16 for e in elements}
    lengths = tuple(OddElement(group << 16, "UL", struct.pack("<I", 7), word=4) for group in groups)
    return elements + lengths


def padded(elements: Elements) -> Elements:
    """Text gets one more blank or, for UIDs, NUL; the data set gets Data Set Trailing Padding."""
    longer = tuple(
        replace(e, value=e.value + (b"\0\0" if e.vr == "UI" else b"  "))
        if e.items is None and e.vr in TEXT_VRS
        else e
        for e in elements
    )
    return (*longer, OddElement(0xFFFCFFFC, "OB", b"\0" * 64))


LEGAL: dict[str, Callable[[Elements], bytes]] = {
    "implicit": lambda e: part10_of(e, ImplicitVRLittleEndian),
    "big endian": lambda e: part10_of(e, ExplicitVRBigEndian),
    "deflated": deflated,
    "other lengths": lambda e: part10_of(other_lengths(e), ExplicitVRLittleEndian),
    "implicit, other lengths": lambda e: part10_of(other_lengths(e), ImplicitVRLittleEndian),
    "group lengths": lambda e: part10_of(with_group_lengths(e), ExplicitVRLittleEndian),
    "padding": lambda e: part10_of(padded(e), ExplicitVRLittleEndian),
    "other meta": lambda e: b"x" * 128 + part10_of(e, ExplicitVRLittleEndian)[128:],
}


@pytest.mark.parametrize("way", LEGAL)
@QUICK
@given(elements=complete())
def test_legal_re_encoding_keeps_the_fingerprint(way: str, elements: Elements) -> None:
    original, copy = part10_of(elements, ExplicitVRLittleEndian), LEGAL[way](elements)
    assert differences(original, copy) == []
    assert same(fingerprint(original), fingerprint(copy))


@st.composite
def changes(draw: st.DrawFn, element: OddElement) -> OddElement | None:
    """The element with another content, or `None` to leave it out."""
    if draw(st.integers(0, 4)) == 0:
        return None
    if element.items is not None:
        shorter: bool = draw(st.booleans())
        items = element.items[1:] if element.items and shorter else (*element.items, ())
        return replace(element, items=items)
    if element.vr in TEXT_VRS:
        return replace(element, value=element.value.rstrip(b" \0") + b"9")
    if not element.value:
        return replace(element, value=b"\1" * element.word)
    at = draw(st.integers(0, len(element.value) - 1))
    flipped = element.value[at] ^ 1 << draw(st.integers(0, 7))
    return replace(element, value=element.value[:at] + bytes([flipped]) + element.value[at + 1 :])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@QUICK
@given(data=st.data())
def test_any_single_change_is_seen(syntax: str, data: st.DataObject) -> None:
    elements = data.draw(complete())
    identifying = {0x00080016, 0x00080018}
    index = data.draw(st.sampled_from([i for i, e in enumerate(elements) if e.tag not in identifying]))
    other = data.draw(changes(elements[index]))
    altered = elements[:index] + ((other,) if other else ()) + elements[index + 1 :]
    original, copy = part10_of(elements, ExplicitVRLittleEndian), part10_of(altered, syntax)
    found = differences(original, copy)
    assert found
    assert not same(fingerprint(original), fingerprint(copy))
    if (
        elements[index].tag >> 16 != 0x0028
    ):  # a change of the image attributes also changes how pixels are read
        assert {d.tag[:8] for d in found} == {f"{elements[index].tag:08X}"}


@QUICK
@given(elements=complete())
def test_changed_vr_is_seen_between_explicit_copies(elements: Elements) -> None:
    index = next(i for i, e in enumerate(elements) if e.tag == 0x00200013)
    altered = (*elements[:index], replace(elements[index], vr="LO"), *elements[index + 1 :])
    original, copy = (part10_of(e, ExplicitVRLittleEndian) for e in (elements, altered))
    assert not same(fingerprint(original), fingerprint(copy))
    assert [d.keyword for d in differences(original, copy)] == ["InstanceNumber"]
