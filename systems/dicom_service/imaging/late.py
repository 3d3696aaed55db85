"""The image functions, imported when first called: their libraries take most of a second to load."""

from collections.abc import Sequence

from systems.dicom_service.late_imports import ONE_AT_A_TIME


def transcode(part10: bytes, transfer_syntax_uid: str) -> bytes:
    """See `transcoding.transcode`."""
    with ONE_AT_A_TIME:
        from systems.dicom_service.imaging import transcoding  # noqa: PLC0415

    return transcoding.transcode(part10, transfer_syntax_uid)


def stored_frames(part10: bytes, numbers: Sequence[int]) -> list[bytes]:
    """See `frames.stored_frames`."""
    with ONE_AT_A_TIME:
        from systems.dicom_service.imaging import frames  # noqa: PLC0415

    return frames.stored_frames(part10, numbers)


def transcoded_frames(part10: bytes, numbers: Sequence[int], transfer_syntax_uid: str) -> list[bytes]:
    """See `frames.transcoded_frames`."""
    with ONE_AT_A_TIME:
        from systems.dicom_service.imaging import frames  # noqa: PLC0415

    return frames.transcoded_frames(part10, numbers, transfer_syntax_uid)


def render(part10: bytes, frame: int, media_type: str, quality: int) -> bytes:
    """See `rendering.render`."""
    with ONE_AT_A_TIME:
        from systems.dicom_service.imaging import rendering  # noqa: PLC0415

    return rendering.render(part10, frame, media_type, quality)


def load() -> None:
    """Import what the functions need."""
    with ONE_AT_A_TIME:
        from systems.dicom_service.imaging import frames, rendering, transcoding  # noqa: F401, PLC0415
