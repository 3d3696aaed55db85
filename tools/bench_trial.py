"""`make bench ARGS="--trial"`: whether the regression gate can be believed on this machine.

Baseline runs, clean runs that must raise no alarm, and runs with an emulator that is slowed on purpose, which must. Each
is an ordinary quick run of STOW of small instances with a history of its own, so what is tried is what guards every night.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.common import CHECKOUT, LOCAL, run, say

FOLDER = LOCAL / "benchmark" / "trial"
BASELINES, CLEAN, PLANTED = 3, 10, 3
SLOWDOWN_PERCENT = 20
ALARM, TOO_NOISY = 1, 3
_WORDS = ("--quick", "--only", "stow", "--matching", "small", "--rounds", "15")


@dataclass(frozen=True)
class Trial:
    """One run: what it is, what it was called with, and the exit codes by which the gate is right."""

    name: str
    words: tuple[str, ...]
    right: tuple[int, ...]


def trials(baselines: int = BASELINES, clean: int = CLEAN, planted: int = PLANTED) -> Iterator[Trial]:
    """All runs, in order. A clean run that is too noisy to tell raises no alarm; a planted one must be seen."""
    for number in range(1, baselines + 1):
        yield Trial(f"baseline {number} of {baselines}", _WORDS, (0,))
    for number in range(1, clean + 1):
        yield Trial(f"clean run {number} of {clean}", (*_WORDS, "--gate"), (0, TOO_NOISY))
    slow = ("--gate", "--plant", str(SLOWDOWN_PERCENT))
    for number in range(1, planted + 1):
        yield Trial(f"slowed by {SLOWDOWN_PERCENT} %, {number} of {planted}", (*_WORDS, *slow), (ALARM,))


def trial(every: Sequence[Trial], perform: Callable[[Trial], tuple[int, str]]) -> int:
    """Perform them all; 0 when the gate was right each time, 1 when not, 4 when a run did not get so far."""
    wrong = []
    for one in every:
        code, words = perform(one)
        if code not in (0, ALARM, TOO_NOISY):
            say(f"{one.name}: the run failed with exit code {code}; see {FOLDER.relative_to(CHECKOUT)}")
            return 4
        is_right = code in one.right
        say(f"{one.name}: {'' if is_right else 'WRONG: '}{_MEANING[code]}; {words}")
        if not is_right:
            wrong.append(one.name)
    judged = [one for one in every if "--gate" in one.words]
    say(f"the gate was right in {len(judged) - len(wrong)} of {len(judged)} runs")
    return 1 if wrong else 0


_MEANING = {0: "no alarm", ALARM: "alarm", TOO_NOISY: "no alarm, but too noisy to tell"}


def on_this_machine() -> int:
    """Try the gate here, beside nothing else: about half an hour."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    say("trying the gate: the machine should have nothing else to do")
    return trial(list(trials()), _perform)


def _perform(one: Trial) -> tuple[int, str]:
    """The exit code of a run, and what the gate said of STOW as a whole."""
    out = FOLDER / one.name.replace(" ", "-").replace(",", "").replace("%", "percent")
    command = [sys.executable, "-m", "tools.bench", *one.words]
    done = run([*command, "--history", str(FOLDER / "history.jsonl"), "--out", str(out)], quiet=True)
    _keep(out, done.stdout)
    if done.returncode == ALARM and "looks alarm" not in done.stdout:
        return 4, ""
    lines = [line.strip() for line in done.stdout.splitlines()]
    said = [line for line in lines if "STOW, all cells" in line and "alarm below" in line]
    return done.returncode, said[0] if said else "nothing to compare with yet"


def _keep(folder: Path, output: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "output.txt").write_text(output, encoding="utf-8")
