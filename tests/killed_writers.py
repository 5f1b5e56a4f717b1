"""Writers of a store to be killed: processes of their own, without torch, that fork quickly.

``python -m tests.killed_writers sweep ACTION TEMPLATE OUTPUT N`` does ``ACTION`` on copies of a
folder, each time killed at another step, at every Nth; ``loop`` kills a writer at random moments;
``race`` lets several write and read one store at once.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType

from bench.errors import StoreError
from bench.store.records import FAILED, SKIPPED, Measurement, Record, Timed
from bench.store.store import EPOCHS, RUNS, THROUGHPUT, Store
from tests.made_up import ENVIRONMENT, PROVENANCE, START, made_up_record, with_outcome

SYSTEM = ("posix", "_io", "io")
"""The modules through which Python touches a disk."""
SEEDS = 1000
"""How many runs there are to be written by one that is killed."""
SHARED, OTHERS = range(6), range(6, 9)
"""The runs that both writers do, and those that one does."""
HARMLESS = set(
    "fspath stat lstat fstat fileno getpid text_encoding read readline seek listdir scandir "
    "__exit__ cpu_count sched_getaffinity _path_normpath urandom getcwd".split()
)
"""What changes nothing on a disk."""


def sample(seed: int, *, writer: int = 0) -> Record:
    """Return a run's record; what depends on the clock is each writer's own."""
    record = made_up_record("Model4", seed, epochs=4)
    started_at = START + timedelta(hours=writer)
    outcome = replace(record.outcome, started_at=started_at, total_seconds=3.0 + writer)
    epochs = tuple(replace(epoch, train_seconds=1.0 + writer) for epoch in record.epochs)
    return replace(record, outcome=outcome, epochs=epochs)


def measurement() -> Measurement:
    """Return a measurement of one configuration that could not be timed."""
    timed = Timed("Model4", "graphed", False, "float32", "cpu", SKIPPED, "needs a GPU", None)  # noqa: FBT003
    return Measurement("m1", START, ENVIRONMENT, PROVENANCE, ((timed, None),))


def write_new(folder: Path) -> None:
    """Write a run that was not there."""
    Store(folder).write(sample(9))


def write_over_failed(folder: Path) -> None:
    """Write a run in the place of its failed record."""
    Store(folder).write(sample(8))


def resume(folder: Path) -> None:
    """Quarantine a damaged run and do it again."""
    store = Store(folder)
    store.prepare()
    if sample(0).run_id not in store.finished([sample(0).run_id]):
        store.write(sample(0))


def measure(folder: Path) -> None:
    """Write a measurement."""
    store = Store(folder)
    store.prepare([THROUGHPUT])
    store.write_measurement(measurement())


def compact(folder: Path) -> None:
    """Write the store once more, as one file a table."""
    Store(folder).compact(folder / "compact")


ACTIONS: dict[str, Callable[[Path], None]] = {
    action.__name__: action for action in (write_new, write_over_failed, resume, measure, compact)
}


def make_template(folder: Path) -> None:
    """Make a store of two finished runs, a failed one, a measurement, and a leftover."""
    store = Store(folder)
    store.prepare([RUNS, EPOCHS, THROUGHPUT])
    for seed in (0, 1):
        store.write(sample(seed))
    store.write(with_outcome(sample(8), FAILED, "injected"))
    store.write_measurement(replace(measurement(), measurement_id="m0"))
    (folder / RUNS / ".old.abc.part").write_bytes(b"half")


class Killer:
    """A profiler that kills its process at the given step of those that touch the disk.

    A step is the moment before or after a call into the operating system.
    """

    def __init__(self, kill_at: int | None) -> None:
        self.kill_at = kill_at
        self.steps: list[str] = []

    def profile(self, _: FrameType, event: str, function: object) -> None:
        """Count a step and be killed at the one; what ``sys.setprofile`` takes."""
        if event not in ("c_call", "c_return", "c_exception"):
            return
        owner = getattr(function, "__self__", None)
        module = getattr(function, "__module__", None) or type(owner).__module__
        name = getattr(function, "__name__", "")
        if module not in SYSTEM or name in HARMLESS:
            return
        self.steps.append(f"{'before' if event == 'c_call' else 'after'} {name}")
        if len(self.steps) - 1 == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def warm_up() -> None:
    """Load and start whatever a first call does, so that it is not done again by every child."""
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template")
        make_template(template)
        for action in ACTIONS.values():
            action(template)


def sweep(action: str, template: Path, output: Path, every: int) -> None:
    """Do ``action`` on copies of ``template``, one for each step, and be killed there.

    The folders are named after the steps' numbers; ``steps.json`` has what they are. The last one
    is not killed. ``every`` is how many steps lie from one folder to the next.
    """
    output.mkdir()
    names = output / "steps.json"
    while not names.exists():
        number = every * len(list(output.iterdir()))
        folder = output / f"{number:03}"
        shutil.copytree(template, folder)
        if (pid := os.fork()) == 0:
            killer = Killer(number)
            sys.setprofile(killer.profile)
            ACTIONS[action](folder)
            sys.setprofile(None)
            names.write_text(json.dumps(killer.steps))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if not killed and not names.exists():
            raise SystemExit(f"{action} ended with status {status} at step {number}")


def loop(folder: Path, kills: int) -> None:
    """Kill a writer at random moments, and print the seeds that it had said were written."""
    generator = random.Random(0)  # noqa: S311  # not for secrets
    Store(folder).prepare()
    records = [sample(seed) for seed in range(SEEDS)]
    told: set[int] = set()
    for _ in range(kills):
        reading, writing = os.pipe()
        if (pid := os.fork()) == 0:
            store = Store(folder)
            for record in records[max(0, len(told) - 3) :]:
                if record.run_id not in store.finished([record.run_id]):
                    store.write(record)
                    os.write(writing, f"{record.run.seed}\n".encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            for _ in range(generator.randrange(4)):
                told.add(int(pipe.readline()))
            time.sleep(generator.uniform(0, 0.008))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            told.update(int(line) for line in pipe)
    print(json.dumps(sorted(told)))


def race(folder: Path, rounds: int) -> None:
    """Let two writers, a compaction and a reader work on one store at once, in each round on a new.

    Both writers resume the same runs and some of their own; in every other round the first run is
    damaged, and both quarantine it. Where a reader sees what it may not, it ends with the error.
    """
    for number in range(rounds):
        store = Store(folder / f"{number:03}")
        store.prepare()
        store.write(sample(0, writer=3))
        damaged = number % 2 == 1
        if damaged:
            path = store.path(EPOCHS, sample(0).run_id)
            path.write_bytes(path.read_bytes()[:-1])
        gate_out, gate_in = os.pipe()
        tasks = [
            partial(write_all, store, SHARED, 1),
            partial(write_all, store, [*SHARED, *OTHERS], 2),
            partial(read_all, store, rounds=6),
            partial(compact_all, store, rounds=3, damaged=damaged),
        ]
        pids = [start_at(gate_out, gate_in, task) for task in tasks]
        os.close(gate_in)  # now they start, at once
        os.close(gate_out)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        if any(codes):
            raise SystemExit(f"round {number} ended with {codes}")


def start_at(gate_out: int, gate_in: int, task: Callable[[], None]) -> int:
    """Start a child that does a task once nobody holds the gate open; return its id."""
    if (pid := os.fork()) == 0:
        os.close(gate_in)
        os.read(gate_out, 1)
        try:
            task()
        except BaseException:  # noqa: BLE001  # a fork must not go on where its parent is
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


def write_all(store: Store, seeds: Sequence[int], writer: int) -> None:
    """Resume, as ``bench run`` does: do what is not finished."""
    store.prepare()
    records = [sample(seed, writer=writer) for seed in seeds]
    finished = store.finished([record.run_id for record in records])
    for record in records:
        if record.run_id not in finished:
            store.write(record)
    assert store.finished([record.run_id for record in records]) == {r.run_id for r in records}


def read_all(store: Store, rounds: int) -> None:
    """Read again and again: nothing that was seen goes away, and all that is seen is whole."""
    seen: set[str] = set()
    damaged = sample(0).run_id
    for _ in range(rounds):
        contents = store.read()
        assert all(damaged in name for name in contents.unreadable), contents.unreadable
        stored = set(contents.runs["run_id"])
        assert seen <= stored, seen - stored
        seen |= stored
        assert len(contents.runs) == len(stored)
        assert len(contents.epochs) == len(sample(0).epochs) * len(stored)
        assert set(contents.epochs.groupby("run_id")["train_seconds"].nunique()) <= {1}


def compact_all(store: Store, rounds: int, *, damaged: bool) -> None:
    """Compact the store again and again, or be told of what is quarantined."""
    for number in range(rounds):
        try:
            copy = store.compact(store.folder / f"compact-{number}")
        except StoreError:
            assert damaged
        else:
            assert Store(copy).read().unreadable == {}


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command != "sweep":  # a kill loses nothing that was written, flushed or not
        os.fsync = lambda _: None
    warm_up()
    if command == "sweep":
        sweep(arguments[0], Path(arguments[1]), Path(arguments[2]), int(arguments[3]))
    elif command == "loop":
        loop(Path(arguments[0]), int(arguments[1]))
    elif command == "race":
        race(Path(arguments[0]), int(arguments[1]))
