"""Runs in the workers of a Ray cluster: a real one, on this machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("ray", reason='Ray is an extra: pip install -e ".[ray]"')

import ray
from ray.cluster_utils import Cluster

from bench.engines import local
from bench.engines import ray as engine
from bench.engines.ledger import Ledger
from bench.engines.limits import Limits
from bench.engines.work import Trainer
from bench.errors import UsageError
from bench.execution.environment import read_provenance
from bench.execution.sources import environment_of
from bench.plan.profiles import PROFILES, plan_of
from bench.store.records import ENSEMBLE, FAILED, OK, Run, run_id
from bench.store.store import Store
from tests.nights import Lines, Night, are_gone, processes_below, wait_for
from tests.trainers import NeverReady, TracedTrainer

if any(character.isspace() for character in sys.prefix):
    pytest.skip("Ray starts no workers from a path with a space", allow_module_level=True)

MEASURED = ["train_seconds", "valid_seconds"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster of one node with two CPUs, as the engine would start it."""
    os.environ.update(RAY_worker_niceness="0")
    head = {"num_cpus": 2, "object_store_memory": 2**27, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_no_workers_from_a_path_with_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would wait for ever for workers that it cannot start: it is refused at once."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr("sys.prefix", "/a b/venv")
    with pytest.raises(UsageError, match=r"path with a space \(/a b/venv\): use --engine local"):
        engine.survey("cpu", None)


@pytest.mark.parametrize(("gpus_per_run", "share"), [(None, 1.0), (0.25, 0.25)])
def test_a_share_of_a_gpu(gpus_per_run: float | None, share: float) -> None:
    """A worker is told the share of the GPU that the cluster gives it."""
    pool = engine.RayPool(Trainer(), "cuda", None, gpus_per_run)
    assert pool.trainer.gpu_share == share


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_same_records_as_local(cluster: Cluster, tmp_path: Path) -> None:
    """Two workers' records of a small nightly are those of one local worker, though one is killed.

    The ensemble's seeds are then in other tasks and chunks, and the killed worker has some.
    """
    site = engine.survey("cpu", None, ray_address=cluster.address)
    assert (site.device, site.jobs) == ("cpu", 2)
    planned_runs = plan_of(
        PROFILES["nightly"],
        variants=["Model1", "Model4"],
        backends=None,
        seeds="12",
        dtype="float32",
        initialisation="ones",
        device=site.device,
        night=0,
    )
    left_out = ("compiled", "custom_hoisted", "cell")  # which would only take longer
    runs = [replace(run, epochs=1) for run in planned_runs if run.backend not in left_out]
    attempts = tmp_path / "attempts"
    attempts.mkdir()
    killed: list[int] = []

    class Killer(Lines):
        def show(self, *_: object) -> None:
            file = attempts / f"{ENSEMBLE}-1"
            if not killed and file.exists() and file.read_text():
                killed.append(int(file.read_text()))
                os.kill(killed[0], signal.SIGKILL)

    killer = Killer()

    provenance = read_provenance("cpu")
    stores = Store(tmp_path / "ray"), Store(tmp_path / "local")
    traced, plain = TracedTrainer(provenance, folder=attempts), Trainer(provenance)
    nights = (engine.run_all, killer, traced, 2), (local.run_all, Lines(), plain, 1)
    for store, (run_all, display, trainer, jobs) in zip(stores, nights, strict=True):
        store.prepare()
        ended = run_all(
            runs,
            trainer,
            Ledger(store, site.environment, provenance),
            jobs=jobs,
            display=display,
        )
        assert {finished.status for finished in ended} == {OK}
    assert re.fullmatch(
        r"Model. ensemble seed 0 and \d+ more seeds: its worker on \S+ died: .*; it is tried once "
        "more",
        *killer.lines,
    )
    assert len({file.read_text() for file in attempts.glob("*")}) == 3

    by_ray, by_local = (store.read() for store in stores)
    planned = {run_id(run, environment_of(run, site.environment)) for run in runs}
    assert len(planned) == len(runs) == 30
    assert set(by_ray.runs["run_id"]) == set(by_local.runs["run_id"]) == planned
    same = ["run_id", "weights_sha256", "initial_weights_sha256", "backend", "commit", "platform"]
    first, second = (frame.sort_values("run_id")[same] for frame in (by_ray.runs, by_local.runs))
    pd.testing.assert_frame_equal(*(rows.reset_index(drop=True) for rows in (first, second)))
    first, second = (
        contents.epochs.sort_values(["run_id", "epoch"]).drop(columns=MEASURED)
        for contents in (by_ray, by_local)
    )
    pd.testing.assert_frame_equal(*(rows.reset_index(drop=True) for rows in (first, second)))


@pytest.mark.slow
def test_faults(cluster: Cluster, tmp_path: Path) -> None:
    """Dead, broken and hung workers cost nothing but time; lost twice, a run has failed."""
    faults = {1: ("killed",), 2: ("stopped",), 3: ("exit 3", "broken")}
    night = Night(tmp_path, faults)
    ended = night.run(
        engine.run_all,
        limits=Limits(floor_seconds=1.0, of_others=1.0),
        ray_address=cluster.address,
    )
    assert ended == [OK, OK, OK, FAILED]
    died = (
        r"its worker on \S+ died: it crashed or was killed, as the system does when memory runs out"
    )
    broken = "RuntimeError: CUDA error: an illegal memory access was encountered"
    expected = [
        f"Model4 nn seed 1: {died}; it is tried once more",
        r"Model4 nn seed 2: hung: no result after 1 seconds, .*; it is tried once more",
        f"Model4 nn seed 3: {died}; it is tried once more",
    ]
    assert len(night.lines) == len(expected)
    for line, pattern in zip(sorted(night.lines), sorted(expected), strict=True):
        assert re.fullmatch(pattern, line)
    error = night.stored().loc[3, "error"]
    assert re.fullmatch(f"attempt 1: {died}; attempt 2: {broken}", error)
    attempts = [night.trainer.processes(seed) for seed in range(4)]
    assert [len(processes) for processes in attempts] == [1, 2, 2, 2]
    assert all(len(set(processes)) == len(processes) for processes in attempts)
    wait_for(lambda: are_gone([process for processes in attempts for process in processes]))


@pytest.mark.slow
def test_lost_node(cluster: Cluster, tmp_path: Path) -> None:
    """A node that is lost costs what it was at, and that is done elsewhere."""
    node = cluster.add_node(num_cpus=1, object_store_memory=2**27)
    night = Night(tmp_path, dict.fromkeys(range(3), ("held",)))

    def watch(running: list[Run]) -> None:
        if night.lines:
            (night.trainer.folder / "release").touch()
        elif node in cluster.worker_nodes and len(running) == 3:
            cluster.remove_node(node, allow_graceful=False)

    ended = night.run(engine.run_all, jobs=3, watch=watch, ray_address=cluster.address)
    assert ended == [OK] * 4
    (line,) = night.lines
    assert re.search("cannot be reached: the worker or its node has died|died with its node", line)
    attempts = [len(night.trainer.processes(seed)) for seed in range(4)]
    assert sorted(attempts) == [1, 1, 1, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "settings", "right"),
    [
        ("cuda", {}, "the Ray cluster has no GPU; use --device cpu or auto"),
        ("cuda", {"gpus_per_run": 2.0}, "--gpus-per-run must be above 0 and at most 1, not 2"),
        ("auto", {"gpus_per_run": 0.0}, "--gpus-per-run must be above 0 and at most 1, not 0"),
    ],
)
def test_usage_errors(
    cluster: Cluster, device: str, settings: dict[str, float], right: str
) -> None:
    """What the cluster cannot do is a line that says what it could."""
    with pytest.raises(UsageError, match=re.escape(right)):
        engine.survey(device, None, ray_address=cluster.address, **settings)


@pytest.mark.slow
def test_workers_that_do_not_start(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a node lacks what a training needs, that is said before there is a plan."""
    monkeypatch.setattr(engine, "Trainer", lambda: NeverReady(folder=tmp_path))
    with pytest.raises(UsageError, match=r"do not start: ImportError: libcudart\.so\.13: cannot"):
        engine.survey("cpu", None, ray_address=cluster.address)


ALONE = """
import os, sys
from pathlib import Path
from bench.engines import ray
from bench.signals import Terminated, terminable
from tests.nights import Night

try:
    with terminable():
        Night(Path(sys.argv[1]), {0: ("killed", "held"), 1: ("held",)}).run(ray.run_all)
except Terminated:
    print("terminated")
"""


@pytest.mark.slow
def test_sigterm_ends_all_of_it(tmp_path: Path) -> None:
    """A cluster that was started for a night ends with it, and says nothing of its own.

    Ray has two occasions to: a worker that is killed, and the end.
    """
    night = [sys.executable, "-c", ALONE, str(tmp_path)]
    with subprocess.Popen(
        night, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        attempts = tmp_path / "attempts"
        wait_for(lambda: len(list(attempts.glob("seed-*"))) == 3)
        below = processes_below(process.pid)
        process.terminate()
        output, _ = process.communicate()
    assert output == "terminated\n"
    assert len(below) > 2
    wait_for(lambda: are_gone(below))


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nonsense"])
def test_no_cluster_at_the_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where no cluster answers is a line that says what would be right."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(UsageError) as caught:
        engine.survey("cpu", None, ray_address=address)
    line = str(caught.value)
    assert line.startswith(f"--ray-address {address}: no Ray cluster answers there (")
    assert line.endswith("): start one with `ray start --head`, or leave out the option")
    assert "\n" not in line
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (
            OSError("AF_UNIX path length cannot exceed 107 bytes: /x/plasma_store"),
            "set RAY_TMPDIR to a shorter path",
        ),
        (RuntimeError("Could not determine home directory."), "set HOME to a folder that exists"),
        (NotADirectoryError(20, "Not a directory"), "set RAY_TMPDIR to a folder that can be"),
        (Exception("The current node timed out during startup."), "use --engine local, or the"),
    ],
)
def test_no_cluster_can_be_started(
    error: Exception, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none was asked for by its address, the line speaks of none, and says what helps."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(UsageError) as caught:
        engine.survey("cpu", None)
    line = str(caught.value)
    assert line.startswith(f"no Ray cluster can be started on this machine ({type(error).__name__}")
    assert f"): {remedy}" in line
    assert "--ray-address None" not in line


@pytest.mark.slow
def test_a_path_too_long_for_sockets(tmp_path: Path) -> None:
    """Ray's own words for a long RAY_TMPDIR are those that the remedy is found by."""
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    command = [sys.executable, "-m", "bench", "run", "--engine", "ray", "--profile", "smoke"]
    command += ["--variants", "Model1", "--results", str(tmp_path / "results")]
    done = subprocess.run(
        command,
        check=False,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RAY_TMPDIR": str(folder)},
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith("): set RAY_TMPDIR to a shorter path")
