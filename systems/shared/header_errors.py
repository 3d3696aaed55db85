"""What can be wrong with the bytes of a DICOM file or data set."""


class HeaderError(ValueError):
    """The bytes cannot be read as the DICOM encoding they should have; the message says why."""


class NotDicom(HeaderError):  # noqa: N818 - the contract's name
    """The bytes are not DICOM in the encoding they claim."""


class Truncated(HeaderError):  # noqa: N818 - the contract's name
    """The bytes end inside an element; with more bytes the answer may differ."""
