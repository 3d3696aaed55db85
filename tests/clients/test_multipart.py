import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.clients import multipart
from fixtures.clients.multipart import MalformedMultipart

TYPE = 'multipart/related; type="application/dicom"; boundary=BB'


def bodies(content_type: str, content: bytes, size: int = 7) -> list[bytes]:
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    return [part.body for part in multipart.read(content_type, chunks)]


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.integers(1, 50))
def test_what_is_written_is_read_again(parts: list[bytes], size: int) -> None:
    content_type, content = multipart.encode(parts)

    assert bodies(content_type, content, size) == parts


def test_parts_carry_their_headers_and_quoted_boundaries_are_understood() -> None:
    content = b"--a b\r\nContent-Type: image/jpeg; transfer-syntax=1.2\r\nContent-Location: /x\r\n\r\n\xff\r\n--a b--"

    (part,) = multipart.read('Multipart/Related; Boundary="a b"', [content])

    assert part.content_type == "image/jpeg; transfer-syntax=1.2"
    assert part.headers[1] == ("Content-Location", "/x")
    assert part.body == b"\xff"


def test_preamble_epilogue_white_space_and_missing_headers_are_legal() -> None:
    content = b"preamble\r\n--BB \r\n\r\none\r\n--BB\r\nA: b\r\n\r\n\r\n--BB--\r\nepilogue"

    assert bodies(TYPE, content) == [b"one", b""]


@pytest.mark.parametrize(
    ("content_type", "content", "complaint"),
    [
        ("application/json", b"{}", "not multipart"),
        ("multipart/related", b"--BB--", "no boundary"),
        (TYPE, b"", "ends before the first delimiter"),
        (TYPE, b"--BB\r\n\r\nbody without end", "ends before the delimiter after part 1"),
        (TYPE, b"--BB\r\n\r\none\r\n--BB\r\n", "ends before the headers of part 2"),
        (TYPE, b"--BB\r\nno colon\r\n\r\none\r\n--BB--", "header line"),
        (TYPE, b"--BBx\r\n\r\none\r\n--BB--", "text after the delimiter"),
        (TYPE, b"--BB\r\nContent-Length: 9\r\n\r\none\r\n--BB--", "states Content-Length 9 and has 3"),
    ],
)
def test_malformed_bodies_are_reported(content_type: str, content: bytes, complaint: str) -> None:
    with pytest.raises(MalformedMultipart, match=complaint):
        bodies(content_type, content)
