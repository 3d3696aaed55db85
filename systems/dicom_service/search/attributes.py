"""What search results hold, by level and version (QIDO-077 to QIDO-096)."""

from systems.dicom_service.dicom.attributes import Level

_V1_DEFAULTS = {
    Level.STUDY: frozenset(
        {
            0x00080005, 0x00080020, 0x00080030, 0x00080050, 0x00080056, 0x00080090, 0x00080201, 0x00100010, 0x00100020,
            0x00100030, 0x00100040, 0x0020000D, 0x00200010,
        }
    ),
    Level.SERIES: frozenset(
        {0x00080005, 0x00080060, 0x00080201, 0x0008103E, 0x0020000E, 0x00400244, 0x00400245, 0x00400275}
    ),
    Level.INSTANCE: frozenset(
        {
            0x00080005, 0x00080016, 0x00080018, 0x00080056, 0x00080201, 0x00200013, 0x00280010, 0x00280011, 0x00280100,
            0x00280008,
        }
    ),
}  # fmt: skip

_V2_DEFAULTS = {
    Level.STUDY: frozenset(
        {0x0020000D, 0x00080020, 0x00081030, 0x00080050, 0x00080090, 0x00100010, 0x00100020, 0x00100030}
    ),
    Level.SERIES: frozenset({0x0020000E, 0x00080060, 0x00400244, 0x00081090}),
    Level.INSTANCE: frozenset({0x00080018}),
}

_ALL_BESIDES_DEFAULTS = {
    Level.STUDY: frozenset(
        {
            0x00080063, 0x00081030, 0x00081032, 0x00081060, 0x00081080, 0x00081110, 0x00101010, 0x00101020, 0x00101030,
            0x00102180, 0x001021B0,
        }
    ),
    Level.SERIES: frozenset({0x00200011, 0x00200060, 0x00080021, 0x00080031}),
    Level.INSTANCE: frozenset(),
}  # fmt: skip


def defaults(version: int, levels: frozenset[Level]) -> frozenset[int]:
    """Return the tags of results that hold `levels` when nothing is asked for."""
    table = _V1_DEFAULTS if version == 1 else _V2_DEFAULTS
    return frozenset().union(*(table[level] for level in levels))


def everything(levels: frozenset[Level]) -> frozenset[int]:
    """Return the tags of includefield=all; the v1 list under both versions (QIDO-091)."""
    return frozenset().union(*(_V1_DEFAULTS[level] | _ALL_BESIDES_DEFAULTS[level] for level in levels))
