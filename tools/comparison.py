"""Writes `docs/comparison.md`: the demo's claims on the reference systems, and with systems of other makers in single roles.

`python3 -m tools.comparison` reads the results of the last runs and writes the page. `--run` plays the demo once for each column
first; whatever stands behind `--` goes to `make demo` (`--run -- --runner process`). `--again` keeps what a column has and plays
something of it anew (`--again --only orthanc-cloud -- --requirement CLAIM-DUAL-01`): of a check that ran twice the later result counts.
Where the reference systems were not played for the page, the last `make demo` is their column.
"""

import argparse
import json
import shutil
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tools.common import CHECKOUT, Stop, main_of, run, say

PAGE = CHECKOUT / "docs" / "comparison.md"
RESULTS = CHECKOUT / "reports" / "out" / "comparison"
PROFILES = CHECKOUT / "profiles"
COLUMNS: Final[Mapping[str, str]] = {
    "reference": "our reference systems",
    "orthanc-cloud": "Orthanc as the cloud",
    "orthanc-router": "Orthanc as the router",
}
"""By profile, in the page's order."""

_WORDS: Final[Mapping[str, str]] = {
    "pass": "holds",
    "known-deviation": "**does not hold**",
    "fail": "**fails**",
    "error": "not judged (error)",
    "blocked": "not judged (blocked)",
    "not-run": "not run",
    "hole": "not run",
    "not-applicable": "not applicable",
    "unexpected-pass": "**holds, though it is listed as a deviation**",
}
_SEVERITY: Final = ("not-applicable", "pass", "known-deviation", "blocked", "error", "fail")
"""Verdicts of tests that ran, the mildest first (docs/verdicts.md)."""
_UNTOLD: Final = frozenset({"hole", "not-run"})
"""A record that came to nothing else in any column has no line."""
_PASSED_OR_NOT: Final = ("pass", "known-deviation", "fail", "error", "blocked")


@dataclass(frozen=True)
class Record:
    """What a claim came to in one run."""

    title: str
    verdict: str
    reason: str
    checks: Counter[str]
    """How many of its tests ended with which verdict."""

    @property
    def cell(self) -> str:
        """The verdict in words, and how many checks did not hold where some did."""
        word = _WORDS[self.verdict]
        wrong = self.checks["known-deviation"] + self.checks["fail"]
        judged = sum(self.checks[verdict] for verdict in _PASSED_OR_NOT)
        return f"{word} ({wrong} of {judged} checks)" if 0 < wrong < judged else word


@dataclass(frozen=True)
class Column:
    """One run of the demo."""

    profile: str
    run: Mapping[str, Any]
    records: Mapping[str, Record]
    deviations: Mapping[str, Mapping[str, Any]]
    """The profile's known deviations by record."""

    @property
    def heading(self) -> str:
        """As the table has it."""
        return COLUMNS[self.profile]

    def verdict(self, claim: str) -> str:
        """What the claim came to; a claim that the run did not know was not run."""
        return self.records[claim].verdict if claim in self.records else "not-run"

    def why(self, claim: str) -> str:
        """Why a claim does not hold or does not apply: the profile's reason, else that of the run."""
        if claim in self.deviations and self.verdict(claim) != "not-applicable":
            return str(self.deviations[claim]["reason"])
        return _sentence(self.records[claim].reason)


def read_column(profile: str, results: Path, profiles: Path) -> Column:
    """Read one run's results and the deviations of its profile.

    Raises:
        Stop: there are no results, or they are of another profile.

    """
    found = list(results.glob(f"{profile}/*/conformance.json"))
    last_demo = results.parent / "conformance.json"
    if not found and profile == "reference" and last_demo.exists():
        found = [last_demo]
    runs = sorted((_run_of(path, profile) for path in found), key=_began)
    if not runs:
        raise Stop(
            f"there are no results below {results / profile}\n  What to do: python3 -m tools.comparison --run"
        )
    histories: dict[str, list[Mapping[str, Any]]] = {}
    for one in (one for raw in runs for one in raw["records"] if one["suite"] == "demo"):
        histories.setdefault(one["id"], []).append(one)
    records = {claim: _merged(told) for claim, told in histories.items()}
    described = tomllib.loads((profiles / f"{profile}.toml").read_text("utf-8"))
    deviations = {one["record"]: one for one in described.get("deviations", ())}
    for claim in deviations.keys() & records.keys():
        if records[claim].verdict == "fail":
            # It ran before the deviation was written down.
            records[claim] = replace(records[claim], verdict="known-deviation")
        elif records[claim].verdict == "pass":
            records[claim] = replace(records[claim], verdict="unexpected-pass")
    run = {**runs[0]["run"], "finished": runs[-1]["run"]["finished"]}
    return Column(profile, run, records, deviations)


def _run_of(path: Path, profile: str) -> Mapping[str, Any]:
    raw: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    if raw["run"]["profile"] != profile:
        raise Stop(f"{path} is a run of profile {raw['run']['profile']!r}, not of {profile!r}", 2)
    return raw


def _began(raw: Mapping[str, Any]) -> str:
    return str(raw["run"]["started"])


def _merged(told: Sequence[Mapping[str, Any]]) -> Record:
    """A record from all runs: the last result of each of its tests, and the worst of these as its verdict."""
    tests = {
        test["nodeid"]: test["verdict"]
        for one in told
        for test in one["tests"]
        if test["verdict"] != "not-run"
    }
    verdict = max(tests.values(), key=_SEVERITY.index) if tests else told[-1]["verdict"]
    reason = next((one["reason"] for one in reversed(told) if one["verdict"] == verdict), "")
    return Record(told[-1]["title"], verdict, reason, Counter(tests.values()))


def page(columns: Sequence[Column]) -> str:
    """The whole page."""
    return (
        "\n".join([_HEAD, *_versions(columns), "", *_table(columns), "", *_reasons(columns)]).rstrip() + "\n"
    )


_HEAD: Final = """\
# Other systems in the roles

The suites speak to roles, never to a product. This page puts systems of other makers into single roles of the demo and lists what each
claim comes to. It is written by `python3 -m tools.comparison` from the results of the runs; edit the profiles or the tool, not the page.

## How it was measured

Every column is the whole demo; single checks were played again later, and their last result counts. The first has the reference systems,
in the others one role is changed and everything else stays:

- **Orthanc as the cloud** (`profiles/orthanc-cloud.toml`): Orthanc with its DICOMweb plugin, its root at `/v2/` where the router and
  the suites look for the service. It has no OAuth, so the router has no credential; anybody who reaches it may read and delete. TLS ends
  at the link before it, because Orthanc as Debian builds it (1.10.1 and 1.12.7) ends with a segmentation fault at the first request
  over TLS. It has no change feed: what was created once is read from its own change log, and test data is deleted by its REST interface.
- **Orthanc as the router** (`profiles/orthanc-router.toml`): Orthanc with the auto-routing of its book, a Lua script that hands each
  instance as it comes to Orthanc's jobs (C-STORE to the archive, STOW-RS to the cloud). One Orthanc answers by both AE titles and
  knows by the called one where an instance goes. The script gets its token of the identity provider and renews it in time. Nothing
  else is added: a script that repeats failed jobs or asks the cloud would be a router of one's own making.

A claim that does not hold is a *known deviation* of the profile, with a reason, which the list below repeats; one that fails and is not
listed there fails the run, and so does one that is listed and holds (`docs/verdicts.md`): until somebody has explained it, *fails* may
be the system's, the check's or a busy machine's doing. *Not applicable* is what needs an interface
that the system does not have. Where only some checks of a claim do not hold, the number is given. Both systems do what they were made for;
Orthanc is an archive, follows the DICOM standard, and promises nothing of what Microsoft's contract or this demo adds to it.

Every failure that is a known deviation was looked into before it was written down. What turned out to be ours was mended:

- The router asked the cloud for compressed answers and did not undo the compression: each store to a server that does compress was A700.
- The router asked for images as single parts only, which the standard leaves to the server; it now takes the multipart form, too.
- A token was "accepted" also by a service that accepts any string, and the trace of what is on the disk saw no answer in a container.
- A create in the cloud, a deletion and a backlog were read from Microsoft's feed, by Microsoft's DELETE, and from our router's own interface
  only; they are now read from whatever the system in that role has, and where it has nothing the check says *not applicable*.
- A retrieval was cancelled at its first report, which comes before the list of images where a cloud lists slowly; it is now cancelled
  when images come. An answer that is written in two pieces was not seen in the trace of what is on the disk.
- Load was sent in single parts, which are Microsoft's; inputs of a credential were tried where the cloud asks for none; and the rule
  for times was tried on queries that not every router asks of the cloud.

To repeat it:

    make demo ARGS="--profile orthanc-cloud"
    make demo ARGS="--profile orthanc-router"
    python3 -m tools.comparison --run     # all three, and this page anew

## What ran
"""


def _versions(columns: Sequence[Column]) -> Iterator[str]:
    yield "| column | finished | runner | cloud | router |"
    yield "|---|---|---|---|---|"
    for column in columns:
        versions = column.run["versions"]
        builds = (_short(versions.get(role, "")) for role in ("cloud", "router"))
        day = str(column.run["finished"])[:10]
        yield f"| {column.heading} | {day} | {column.run['runner']} | {' | '.join(builds)} |"


def _table(columns: Sequence[Column]) -> Iterator[str]:
    yield "## The claims"
    yield ""
    yield f"| claim | {' | '.join(column.heading for column in columns)} |"
    yield f"|---{'|---' * len(columns)}|"
    claims = _claims(columns)
    for claim, title in claims.items():
        cells = (
            column.records[claim].cell if claim in column.records else _WORDS["not-run"] for column in columns
        )
        yield f"| {claim}: {_flat(title)} | {' | '.join(cells)} |"
    totals = (_total(column, claims) for column in columns)
    yield f"| **{len(claims)} claims** | {' | '.join(totals)} |"


def _claims(columns: Sequence[Column]) -> dict[str, str]:
    """Claims by title, in story order: those that a run came to a verdict about."""
    order = columns[0].records
    return {
        claim: record.title
        for claim, record in order.items()
        if any(column.verdict(claim) not in _UNTOLD for column in columns)
    }


def _total(column: Column, claims: Iterable[str]) -> str:
    words = Counter(_WORDS[column.verdict(claim)].strip("*") for claim in claims)
    return ", ".join(f"{count} {word}" for word, count in words.most_common())


def _reasons(columns: Sequence[Column]) -> Iterator[str]:
    for column in columns:
        claims = _claims(columns)
        silent = {"pass", *_UNTOLD}
        told = [c for c in claims if column.verdict(c) not in silent or c in column.deviations]
        # What a check of a claim shows besides; only the claims are judged here.
        others = sorted(column.deviations.keys() - column.records.keys())
        if not told and not others:
            continue
        yield f"## Why: {column.heading}"
        yield ""
        for claim in told:
            yield f"- {claim}, {_WORDS[column.verdict(claim)].strip('*')}: {_flat(column.why(claim))}"
        for record in others:
            yield f"- {record}, does not hold: {_flat(str(column.deviations[record]['reason']))}"
        yield ""


def _sentence(reason: str) -> str:
    """The first line of a reason, without what a machine adds to it."""
    return reason.strip().split("\n", 1)[0][:300] or "no reason was given"


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _short(build: str) -> str:
    """A build without the digest of its image."""
    return _flat(build.partition(" sha256:")[0].partition(", sha256:")[0].rpartition(":")[0] or build)


def _arguments(given: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    at = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(prog="python3 -m tools.comparison", description=__doc__)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--run", action="store_true", help="play the demo for every column first")
    how.add_argument("--again", action="store_true", help="play once more, beside the results that are there")
    parser.add_argument("--only", action="append", choices=COLUMNS, help="play these columns only")
    return parser.parse_args(given[:at]), list(given[at + 1 :])


def main() -> int:
    """Play the demos where asked to, write the page."""
    arguments, given = _arguments(sys.argv[1:])
    for profile in (arguments.only or COLUMNS) if arguments.run or arguments.again else ():
        say(f"the demo with {COLUMNS[profile]}")
        if arguments.run:
            shutil.rmtree(RESULTS / profile, ignore_errors=True)
        folder = RESULTS / profile / str(len(list(RESULTS.glob(f"{profile}/*"))) + 1)
        command = [sys.executable, "-m", "tools.demo", "--profile", profile]
        # A claim that fails is a result like any other here.
        run([*command, "--report-dir", str(folder), *given])
    PAGE.write_text(page([read_column(profile, RESULTS, PROFILES) for profile in COLUMNS]), encoding="utf-8")
    say(f"written: {PAGE.relative_to(CHECKOUT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main_of(main))
