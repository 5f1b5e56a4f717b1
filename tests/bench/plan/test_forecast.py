"""What a plan says that it will take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.plan.costs import expected_cost
from bench.plan.forecast import Speed, forecast, run_of, stored_runs
from bench.store.files import PROBE
from bench.store.records import ENSEMBLE, FAILED, Run
from bench.store.store import RUNS, Store
from hnrnn.variants import VARIANTS
from tests.made_up import made_up_record
from tests.test_imports import modules_after

NIGHTLY = ["run", "--profile", "nightly", "--device", "cpu", "--dry-run", "--jobs", "2"]


def run(backend: str = ENSEMBLE, seed: int = 0, **changes: Any) -> Run:
    """Return a whole run of ``Model4``."""
    values: dict[str, Any] = {"device": "cpu", "epochs": VARIANTS["Model4"].epochs}
    return Run("Model4", backend, seed, "float32", "ones", **(values | changes))


def row(seconds: float, **changes: Any) -> dict[str, Any]:
    """Return a stored row of such a run."""
    return vars(run(**changes)) | {"status": "ok", "total_seconds": seconds}


def test_nothing_is_known() -> None:
    """On a CPU the measured costs count; on a GPU nothing is invented."""
    runs = [run(seed=seed) for seed in range(100)]
    part, together = forecast(runs, runs, [], 2, "cpu")
    assert part == (
        "by the ensemble: 1 configuration, 100 seeds, 100 runs, 0 stored already, 100 to do, 77 s "
        "of one worker"
    )
    assert together.startswith("together: about 50 s with 2 workers (as an AMD EPYC core takes)")
    on_gpu = [run(seed=seed, device="cuda") for seed in range(100)]
    part, together = forecast(on_gpu, on_gpu, [], 1, "cuda")
    assert part.endswith("100 to do")
    assert together == "time: not known, since no run on cuda is stored here"


def test_stored_runs_are_the_measure() -> None:
    """A configuration's own runs count for it, all runs for the others, another device's never."""
    cost = expected_cost(run())
    rows = [row(3 * cost), row(3 * cost, seed=1), row(100.0, device="cuda", seed=2)]
    speed = Speed.of(rows, "cpu")
    assert speed.seconds(run(seed=7)) == pytest.approx(3 * cost)
    assert speed.seconds(run("nn")) == pytest.approx(3 * expected_cost(run("nn")))
    assert speed.seconds(run(seed=7, epochs=1)) < 0.2 * cost
    planned = [run(seed=seed) for seed in range(3)]
    part, together = forecast(planned, planned[2:], rows, 2, "cpu")
    assert ", 3 runs, 2 stored already, 1 to do, " in part
    assert "with 1 worker (from the stored runs), up to 0.6 GiB of memory" in together
    assert len(forecast(planned, [], rows, 2, "cpu")) == 1


def test_stored_runs(tmp_path: Path) -> None:
    """They are the runs with a result; what cannot be read, or is not there, is none."""
    assert stored_runs(tmp_path / "none") == []
    store = Store(tmp_path)
    store.prepare()
    records = [made_up_record("Model4", seed) for seed in range(2)]
    for record in [*records, made_up_record("Model4", 2, status=FAILED, error="injected")]:
        store.write(record)
    (tmp_path / RUNS / PROBE).with_name("torn.parquet").write_bytes(b"PAR1")
    assert {run_of(each) for each in stored_runs(tmp_path)} == {each.run for each in records}


def test_dry_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what there is to do, leaves nothing behind, and ends well."""
    results = tmp_path / "results"
    assert main([*NIGHTLY, "--results", str(results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "left out: nn_no_cudnn, graphed, graphed_loop, which need a GPU",
        f"1664 runs: 0 stored already in {results}, 1664 to do on cpu",
    ]
    assert lines[2].startswith("one seed at a time: 32 configurations, 2 seeds, 64 runs, 0 stored")
    assert lines[3].startswith("by the ensemble: 8 configurations, 200 seeds, 1600 runs, 0 stored")
    assert lines[4].startswith("together: about ")
    assert not results.exists()


def test_dry_run_of_what_is_half_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stored runs are counted, and a night's fresh seeds are those that the folder has."""
    store = Store(tmp_path)
    store.prepare()
    fresh = 1_000_000 + 700 * 100_000
    for seed in (0, 1, fresh):
        store.write(made_up_record("Model4", seed, backend=ENSEMBLE))
    words = [*NIGHTLY, "--results", str(tmp_path), "--variants", "Model4", "--seeds", "4"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"14 runs: 3 stored already in {tmp_path}, 11 to do on cpu"
    assert ", 4 runs, 3 stored already, 1 to do, " in lines[3]
    assert main([*words, "--backends", ENSEMBLE, "--seeds", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("2 runs: 2 stored already")


def test_dry_run_asks_no_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    """What only a cluster knows has to be named."""
    assert main(["run", "--dry-run", "--engine", "ray"]) == 2
    assert "--dry-run asks no Ray cluster: name --jobs, and --device" in capsys.readouterr().err


def test_dry_run_loads_no_torch(tmp_path: Path) -> None:
    """With a device that is named it takes a second."""
    words = [*NIGHTLY, "--results", str(tmp_path / "results")]
    loaded = modules_after(f"from bench.__main__ import main; main({words!r})")
    assert "torch" not in loaded
