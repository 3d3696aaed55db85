"""What a measurement shows, and the one thing it can fail by: a cell that does not count."""

from collections.abc import Sequence

from fixtures.measurement.samples import Cell
from fixtures.measurement.statistics import interval, ratios
from fixtures.reporting.evidence import Evidence

SUBJECTS = ("emulator", "router", "router-at-once")
"""The project's own systems: their cells must count. Another product that lacks an ability shows so in the report."""


def conclude(evidence: Evidence, cells: Sequence[Cell]) -> None:
    """Attach rates and ratios; assert that the cells of our own systems count."""
    for cell in cells:
        if cell.void:
            evidence.note(f"{cell.target}: does not count: {cell.void}")
            continue
        rate = cell.rate()
        evidence.figure(f"{cell.target} {cell.key}", round(rate.median, 1), cell.unit)
        evidence.note(
            f"{cell.target}: {rate.median:.1f} {cell.unit} ({rate.low:.1f} to {rate.high:.1f}), limited by "
            f"{cell.limited_by}, {cell.disturbed} of {len(cell.samples)} rounds disturbed"
        )
    told = compared(cells)
    if told:
        evidence.note(told)
    wrong = {cell.target: cell.void for cell in cells if cell.void and cell.target in SUBJECTS}
    assert not wrong, f"these cells do not count: {wrong}"


def compared(cells: Sequence[Cell]) -> str:
    """The ratio of the first cell to the second, round by round, in a sentence; empty when there is none."""
    if len(cells) < 2 or cells[0].void or cells[1].void:
        return ""
    ratio = interval(ratios(cells[0].rates, cells[1].rates))
    return f"{cells[0].target} : {cells[1].target} = {ratio.median:.2f} (95 % interval {ratio.low:.2f} to {ratio.high:.2f})"
