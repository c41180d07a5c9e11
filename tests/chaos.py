"""Kill runs again and again, and see that nothing is lost or done twice.

    python -m tests.chaos                         1,000 kills over all shapes and stores
    python -m tests.chaos --kills 50 --seed 7 race loop
    python -m tests.chaos --stores postgres redis --restarts 30

Ends with 1 if anything was not as in a run that nobody killed; the line that says so has what it takes to do it
again. Who interrupts it is told what was found until then. The processes are killed with SIGKILL, each at a moment
that the seed chooses: between two events, before, in or after an append, before or after an effect. Then the servers
are killed, too, between a run's two lives and in the middle of the second. Servers are found or installed, and
started once for everything; one that cannot be is told of.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import multiprocessing.pool
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import pytest

from tests.crashes import SHAPES, STORES, Reference, killed, moments_of, restarts_of

AT_APPENDS = {"append": "before", "inside": "in", "appended": "after"}


@dataclass(frozen=True)
class Case:
    """One run, and what was done to it."""

    job: Job
    number: int
    kills: tuple[str, ...]
    restarts: int
    seconds: float
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """Runs of one shape in one store, until there were so many kills, or servers were restarted so often."""

    shape: str
    kept: str
    seed: int
    kills: int = 0
    restarts: int = 0

    @property
    def name(self) -> str:
        return f"{self.shape}-{self.kept}{'-restarted' * bool(self.restarts)}"

    def is_done(self, cases: Sequence[Case]) -> bool:
        return sum(len(case.kills) for case in cases) >= self.kills and len(cases) >= self.restarts


Work: TypeAlias = tuple[str, Job]


def main(arguments: Sequence[str]) -> int:
    """Print a line for each shape and each store, and for each thing that went wrong."""
    options = _options(arguments)
    began = perf_counter()
    stores = [name for name in options.stores if _is_there(name)]
    found: list[Case] = []
    with tempfile.TemporaryDirectory(prefix="quire-chaos-") as top, suppress(KeyboardInterrupt):
        for cases in _done(top, _jobs(options, stores)):
            _tell([case for case in cases if case.problems])
            found += cases
    for name in options.shapes:
        _report(name, [case for case in found if case.job.shape == name])
    for name in stores:
        _report(name, [case for case in found if case.job.kept == name])
    kills, wrong = sum(len(case.kills) for case in found), sum(len(case.problems) for case in found)
    restarts = sum(case.restarts for case in found)
    seconds = perf_counter() - began
    print(f"{kills} kills, {restarts} restarts, {wrong} problems, {seconds:.0f} s (seed {options.seed})")
    return int(wrong > 0)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Kill runs, and see what is left.")
    parser.add_argument("shapes", nargs="*", metavar="shape", help=f"all if none: {', '.join(SHAPES)}")
    parser.add_argument("--stores", nargs="+", choices=STORES, default=[*STORES], help="where they are kept (all)")
    parser.add_argument("--kills", type=int, default=1000, help="how many in all (1000)")
    parser.add_argument("--restarts", type=int, default=10, help="runs whose server is restarted, of each server (10)")
    parser.add_argument("--seed", type=int, default=1, help="what chooses the moments (1)")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.shapes if name not in SHAPES]:
        parser.error(f"there is no shape {unknown[0]!r}; there are {', '.join(SHAPES)}")
    options.shapes = options.shapes or [*SHAPES]
    return options


def _is_there(name: str) -> bool:
    """Start what a store needs, once for all; say so if it cannot be had."""
    server = STORES[name].server
    try:
        if server is not None:
            server()
    except pytest.skip.Exception as reason:
        print(f"{name:<12} left out: {reason}")
        return False
    return True


def _jobs(options: argparse.Namespace, stores: Sequence[str]) -> list[Job]:
    pairs = [(shape, kept) for shape in options.shapes for kept in stores]
    kills = -(-options.kills // len(pairs))
    killing = [Job(shape, kept, options.seed, kills=kills) for shape, kept in pairs]
    served = [name for name in stores if STORES[name].restart is not None]
    dice = random.Random(options.seed)
    turns = {name: Counter(_dealt(options.shapes, options.restarts, dice)) for name in served}
    return killing + [Job(shape, kept, options.seed, restarts=n) for kept in served for shape, n in turns[kept].items()]


def _dealt(shapes: Sequence[str], count: int, dice: random.Random) -> Iterator[str]:
    """Deal out shapes, each as often as the others."""
    order = dice.sample(shapes, len(shapes))
    return (order[place % len(order)] for place in range(count))


def _done(top: str, jobs: Sequence[Job]) -> Iterator[list[Case]]:
    # What is imported is not looked through again by every child, which would have to copy it for that.
    gc.collect()
    gc.freeze()
    # Forked, because what they fork in turn must have imported everything already.
    forking = multiprocessing.get_context("fork")
    with forking.Pool(os.cpu_count() or 1, maxtasksperchild=1) as workers:
        yield from workers.imap_unordered(_do, [(top, job) for job in jobs if job.kills], chunksize=1)
    # One after the other: nobody else's server is restarted.
    for job in jobs:
        if job.restarts:
            yield _do((top, job))


def _do(work: Work) -> list[Case]:
    top, job = work
    shape, dice, folder = SHAPES[job.shape], random.Random(f"{job.seed} {job.name}"), Path(top) / job.name
    reference = Reference(shape, folder.with_suffix(".whole"))
    cases: list[Case] = []
    while not job.is_done(cases):
        moments, began = (restarts_of if job.restarts else moments_of)(reference, dice), perf_counter()
        outcome = killed(shape, reference, folder, moments, job.kept)
        wrong = tuple(f"{moments}: {problem}" for problem in outcome.problems)
        spent = perf_counter() - began
        cases.append(Case(job, len(cases), tuple(outcome.kills), outcome.restarts, spent, wrong))
        shutil.rmtree(folder)
    return cases


def _report(name: str, cases: Sequence[Case]) -> None:
    kills = Counter(what for case in cases for what in case.kills)
    where = ", ".join(f"{kills[what]} {word}" for what, word in AT_APPENDS.items())
    restarts, wrong = sum(case.restarts for case in cases), sum(bool(case.problems) for case in cases)
    slowest = max((case.seconds for case in cases), default=0.0)
    print(
        f"{name:<12}{len(cases):>5} runs {kills.total():>5} kills ({where} an append)"
        f" {restarts:>3} restarts {wrong:>3} wrong, slowest {slowest:.1f} s"
    )


def _tell(wrong: Sequence[Case]) -> None:
    for case in wrong:
        for problem in case.problems:
            job = case.job
            print(f"  --seed {job.seed} --stores {job.kept} {job.shape}, run {case.number} of {job.name}: {problem}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
