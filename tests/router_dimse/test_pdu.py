"""The PDU reader: the same findings however the bytes arrive, and only `ProtocolError` for bytes that make no sense."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from systems.router.dimse import pdu
from systems.router.dimse.errors import ProtocolError


class Found:
    """Joins fragments to values, so that cuts in transit do not show."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []
        self._value = b""

    def pdu(self, kind: int, body: bytes) -> None:
        self.events.append((kind, body))

    def fragment(self, context_id: int, flags: int, data: memoryview, *, complete: bool) -> None:
        self._value += data
        if complete:
            self.events.append((context_id, flags, self._value))
            self._value = b""


def read(stream: bytes, cuts: list[int]) -> list[tuple[object, ...]]:
    found = Found()
    reader = pdu.PduReader(found)
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in pairwise(edges):
        reader.feed(stream[start:end])
    return found.events


values = st.tuples(st.integers(0, 255), st.sampled_from([0, 1]), st.binary(max_size=200), st.integers(2, 64))


@given(st.lists(values, max_size=5), st.lists(st.integers(0, 5000), max_size=12))
def test_values_cut_anywhere_arrive_whole_and_in_order(
    sent: list[tuple[int, int, bytes, int]], cuts: list[int]
) -> None:
    stream = b"".join(b"".join(pdu.value(context, flags, data, size)) for context, flags, data, size in sent)
    stream += pdu.release_request()

    seen = read(stream, cuts)

    assert seen == read(stream, [])
    assert seen[-1] == (pdu.RELEASE_RQ, bytes(4))
    position = 0
    for context, flags, data, size in sent:
        pieces = max(1, -(-len(data) // size))
        group = seen[position : position + pieces]
        assert b"".join(piece[2] for piece in group if isinstance(piece[2], bytes)) == data
        assert [piece[:2] for piece in group] == [(context, flags)] * (pieces - 1) + [
            (context, flags | pdu.LAST)
        ]
        position += pieces


@settings(max_examples=300)
@given(st.binary(max_size=600), st.lists(st.integers(0, 600), max_size=6))
def test_random_bytes_raise_nothing_but_protocol_errors(stream: bytes, cuts: list[int]) -> None:
    with suppress(ProtocolError):
        read(stream, cuts)


@pytest.mark.parametrize(
    "stream",
    [
        b"\x09\0\0\0\0\4abcd",
        b"\0\0\0\0\0\4abcd",
        b"\4\0\0\0\0\0",
        b"\4\0\0\0\0\6\0\0\0\1\1\1",
        b"\4\0\0\0\0\6\0\0\1\0\1\1",
        b"\5\0\0\0\1\0",
        b"\1\0\x7f\xff\xff\xff",
    ],
    ids=[
        "type 9",
        "type 0",
        "no value",
        "short value",
        "long value",
        "long release",
        "vast association request",
    ],
)
def test_malformed_headers_are_refused_at_once(stream: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(stream, [])


def test_fragment_size_of_a_tiny_maximum_is_refused() -> None:
    assert pdu.fragment_size(16384) == 16378
    assert pdu.fragment_size(16383) == 16376
    with pytest.raises(ProtocolError, match="too few"):
        pdu.fragment_size(10)
