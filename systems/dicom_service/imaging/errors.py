"""What image work reports to its callers."""


class ImagingError(Exception):
    """The pixel data cannot be worked on; the message says why without quoting any attribute."""


class CannotTranscode(ImagingError):  # noqa: N818 - says what is not possible
    """The pixel data cannot be decoded from, or encoded to, a transfer syntax."""


class NoPixelData(ImagingError):  # noqa: N818 - says what is missing
    """The instance has no pixel data, or not what describes it."""


class NoSuchFrame(ImagingError):  # noqa: N818 - says what is missing
    """A frame number beyond the last frame."""
