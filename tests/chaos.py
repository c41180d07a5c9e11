"""Kill runs again and again, and see that nothing is lost or done twice.

    python -m tests.chaos                         1,000 kills over all shapes, and stores of this machine
    python -m tests.chaos --kills 50 --seed 7 race loop

Ends with 1 if anything was not as in a run that nobody killed; the line that says so has what it takes to do it
again. The processes are killed with SIGKILL, each at a moment that the seed chooses.
"""

from __future__ import annotations

import argparse
import multiprocessing
import multiprocessing.pool
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tests.crashes import SHAPES, STORES, Reference, killed, moments_of


@dataclass(frozen=True)
class Case:
    """One run, and how often it was killed."""

    shape: str
    number: int
    kills: int
    seconds: float
    problems: tuple[str, ...]


def main(arguments: Sequence[str]) -> int:
    """Print a line for each shape, and for each thing that went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Kill runs, and see what is left.")
    parser.add_argument("shapes", nargs="*", metavar="shape", help=f"all if none: {', '.join(SHAPES)}")
    parser.add_argument("--kills", type=int, default=1000, help="how many in all (1000)")
    parser.add_argument("--seed", type=int, default=1, help="what chooses the moments (1)")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.shapes if name not in SHAPES]:
        parser.error(f"there is no shape {unknown[0]!r}; there are {', '.join(SHAPES)}")
    shapes: list[str] = options.shapes or list(SHAPES)
    began = perf_counter()
    with tempfile.TemporaryDirectory(prefix="quire-chaos-") as top, _workers() as workers:
        jobs = [(top, shape, options.seed, -(-options.kills // len(shapes))) for shape in shapes]
        found = [case for cases in workers.imap(_kill, jobs, chunksize=1) for case in cases]
    for shape in shapes:
        _report(shape, [case for case in found if case.shape == shape], options.seed)
    wrong = sum(len(case.problems) for case in found)
    kills = sum(case.kills for case in found)
    print(f"{kills} kills, {wrong} problems, {perf_counter() - began:.0f} s (seed {options.seed})")
    return int(wrong > 0)


def _workers() -> multiprocessing.pool.Pool:
    # Forked, because what they fork in turn must have imported everything already.
    return multiprocessing.get_context("fork").Pool(os.cpu_count() or 1, maxtasksperchild=1)


def _kill(job: tuple[str, str, int, int]) -> list[Case]:
    top, name, seed, kills = job
    shape, dice, folder = SHAPES[name], random.Random(f"{seed} {name}"), Path(top) / name
    reference = Reference(shape, folder.with_suffix(".whole"))
    cases: list[Case] = []
    while sum(case.kills for case in cases) < kills:
        number, moments, began = len(cases), moments_of(reference, dice), perf_counter()
        kept = dice.choice([*STORES])
        outcome = killed(shape, reference, folder, moments, kept)
        wrong = tuple(f"{kept}, {moments}: {problem}" for problem in outcome.problems)
        cases.append(Case(name, number, outcome.kills, perf_counter() - began, wrong))
        shutil.rmtree(folder)
    return cases


def _report(shape: str, cases: Sequence[Case], seed: int) -> None:
    slowest = max(case.seconds for case in cases)
    kills, wrong = sum(case.kills for case in cases), [case for case in cases if case.problems]
    print(f"{shape:<12}{len(cases):>5} runs {kills:>5} kills {len(wrong):>3} wrong, slowest {slowest:.1f} s")
    for case in wrong:
        for problem in case.problems:
            print(f"  --seed {seed} {shape}, run {case.number}: {problem}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
