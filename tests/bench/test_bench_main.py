"""``python -m bench``, as a person or a nightly calls it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest
import torch

from bench.__main__ import main
from bench.engines import local
from bench.engines.work import Display, Finished
from bench.execution.environment import read_environment, reproducible_settings
from bench.plan.faults import FAULTS
from bench.plan.grid import BACKENDS
from bench.store.records import Run, run_id
from bench.store.store import Store
from hnrnn.variants import VARIANTS
from tests.command_line import exit_code

NOTEBOOK = ["--backends", "notebook"]
SMOKE = ["run", "--profile", "smoke", "--variants", "Model0,Model4", *NOTEBOOK]


@pytest.mark.usefixtures("in_process")
def test_run_then_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A call stores its runs; the same call again runs nothing, and a larger one only the rest."""
    results = ["--results", str(tmp_path / "results")]
    assert main([*SMOKE, *results]) == 0
    assert "4 runs stored" in capsys.readouterr().err
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")}
    assert len(files) == 8
    assert main([*SMOKE, *results]) == 0
    assert "4 stored already" in capsys.readouterr().err
    assert main([*SMOKE, *results, "--seeds", "1-2"]) == 0
    assert "2 stored already" in capsys.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in files} == files
    epochs = pd.read_parquet(tmp_path / "results" / "epochs")
    assert sorted(map(tuple, epochs[["variant", "seed"]].to_numpy())) == [
        (name, seed) for name in ("Model0", "Model4") for seed in (0, 1, 2)
    ]


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        (["--variants", "Model9"], "choose from Model0, Model1"),
        (["--backends", "cudnn"], "choose from notebook, nn, nn_no_cudnn"),
        (
            ["--variants", "Model0", "--backends", "cell"],
            "nothing to run: Model0 on cell: cell needs a recurrent model (Model4 to Model7)",
        ),
        (["--backends", ","], "no backend is named: choose from notebook, nn"),
        (["--seeds", "-1"], "seeds from 0"),
        (["--seeds", "-1,2"], "seeds from 0"),
        (["--seeds", "4-2"], "range 4-2 is empty"),
        (
            ["--backends", "ensemble", "--inject-fault", "same_seed"],
            "same_seed applies to none of the runs: ensemble has a training loop of its own",
        ),
        (["--engine", "ensemble"], "choose from"),
        (["--profile", "huge"], "choose from"),
        (["--dtype", "float16"], "choose from"),
        (["--initialisation", "zeros"], "choose from"),
        (["--engine", "slurm"], "choose from"),
        (["--gpus-per-run", "0.5"], "--gpus-per-run only applies to --engine ray"),
        (["--ray-address", "auto"], "--ray-address only applies to --engine ray"),
        (["--jobs", "0"], "--jobs must be a whole number from 1 to 1,024, not 0"),
        (["--data", "/nowhere"], "give the human_numbers folder or archive"),
        (["--device", "cuda"], "use --device cpu or auto"),
        (
            ["--inject-fault", "lr"],
            "unknown injected fault 'lr': choose from lr_times_3, lr_over_3",
        ),
        (["--inject-fault", "lr_times_3", "--profile", "nightly"], "use --profile quick or smoke"),
        (
            ["--inject-fault", "state_reset", "--variants", "Model0,Model1"],
            "state_reset applies to none of the runs: Model0 keeps no hidden state; Model1 keeps",
        ),
    ],
)
def test_bad_input(
    arguments: list[str], right: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad input is one line that says what would be right, exit code 2, and nothing is written."""
    results = tmp_path / "results"
    assert exit_code(main, ["run", "--results", str(results), *arguments]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert right in error
    assert not results.exists()


@pytest.mark.usefixtures("in_process")
def test_mixed_backends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ensemble trains beside another backend in one call, the same but for rounding."""
    results = tmp_path / "results"
    command = ["run", "--profile", "smoke", "--variants", "Model0,Model4", "--seeds", "2"]
    command += ["--backends", "notebook", "ensemble", "--results", str(results)]
    assert main(command) == 0
    epochs = pd.read_parquet(results / "epochs").set_index(["variant", "seed"]).sort_index()
    together = epochs["backend"] == "ensemble"
    assert together.sum() == 4
    measures = ["train_loss", "valid_loss", "accuracy"]
    ours, theirs = (epochs.loc[rows, measures] for rows in (together, ~together))
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-3)
    capsys.readouterr()
    assert main(command) == 0
    assert "8 runs: 8 stored already" in capsys.readouterr().err


def test_throughput_is_not_for_the_ensemble(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step of many seeds is not timed beside those of one; a line says what is for it."""
    command = ["throughput", "--results", str(tmp_path / "results"), "--backends", "ensemble"]
    assert main(command) == 2
    assert capsys.readouterr().err == (
        "python -m bench throughput: nothing to time: ensemble: its steps train many seeds; "
        "use `bench ensemble-timing`\n"
    )
    assert not (tmp_path / "results").exists()


def test_failed_and_diverged_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failed run makes the exit code 1 and is named; a diverged one is named, and a result."""

    def ends(statuses: list[str]) -> int:
        def run_all(runs: list[Run], *_: object, display: Display, **__: object) -> None:
            ended = zip(runs, statuses, strict=True)
            display.show([], [Finished(run, status, accuracy=0.5) for run, status in ended])

        monkeypatch.setattr(local, "run_all", run_all)
        command = ["run", "--variants", "Model4", *NOTEBOOK, "--seeds", "2"]
        return main([*command, "--results", str(tmp_path / "results")])

    assert ends(["ok", "failed"]) == 1
    assert "1 run stored in" in capsys.readouterr().err
    assert ends(["failed", "failed"]) == 1
    assert "2 failed: Model4 nn seed 0, Model4 nn seed 1" in capsys.readouterr().err
    assert ends(["ok", "diverged"]) == 0
    assert "1 of them diverged: Model4 nn seed 1" in capsys.readouterr().err


def test_results_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A results folder that is a file is one line, and the file stays as it was."""
    file = tmp_path / "results"
    file.write_text("mine")
    assert exit_code(main, [*SMOKE, "--results", str(file)]) == 2
    assert f"--results must name a folder: {file} is a file" in capsys.readouterr().err
    assert file.read_text() == "mine"


@pytest.mark.usefixtures("in_process")
def test_skipped_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot run here is recorded with the reason; what does not exist is named."""
    results = tmp_path / "results"
    command = ["run", "--profile", "smoke", "--seeds", "1", "--results", str(results)]
    command += ["--device", "cpu", "--variants", "Model0,Model4"]
    assert main([*command, "--backends", "custom,nn_no_cudnn"]) == 0
    error = capsys.readouterr().err
    assert "skipped Model0 on nn_no_cudnn: nn_no_cudnn needs a recurrent model" in error
    assert "2 runs stored in" in error
    assert "1 skipped: nn_no_cudnn needs a GPU; on a CPU nn is ATen already: use nn" in error
    runs = pd.read_parquet(results / "runs").set_index(["variant", "backend"])
    assert dict(runs["status"]) == {
        ("Model0", "custom"): "ok",
        ("Model4", "custom"): "ok",
        ("Model4", "nn_no_cudnn"): "skipped",
    }
    assert "needs a GPU" in runs.loc[("Model4", "nn_no_cudnn"), "error"]
    assert runs["epoch_rows"].to_list().count(0) == 1
    # What is skipped is tried again each time; a call that could do nothing at all is no success.
    assert main([*command, "--backends", "custom,nn_no_cudnn"]) == 0
    assert "2 stored already" in capsys.readouterr().err
    assert main([*command, "--backends", "graphed"]) == 1


@pytest.mark.usefixtures("in_process")
def test_injected_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run with a fault is stored as such, beside the real one; what it is not for is named."""
    results = tmp_path / "results"
    command = ["run", "--profile", "smoke", "--seeds", "1", "--results", str(results), *NOTEBOOK]
    assert main([*command, "--variants", "Model4"]) == 0
    command += ["--variants", "Model0,Model4", "--inject-fault", "state_reset"]
    capsys.readouterr()
    assert main(command) == 0
    error = capsys.readouterr().err
    assert error.startswith("skipped state_reset: Model0 keeps no hidden state\n1 run: 0 stored")
    assert "Model4 nn seed 0 with state_reset" in error
    runs = Store(results).read().runs.sort_values("injected_fault", na_position="first")
    assert list(runs["variant"]) == ["Model4", "Model4"]
    assert list(runs["injected_fault"].isna()) == [True, False]
    assert runs["injected_fault"].iloc[1] == "state_reset"
    assert runs["weights_sha256"].nunique() == 2
    assert main(command) == 0
    assert "1 run: 1 stored already" in capsys.readouterr().err


def test_threads_of_an_injected_fault_are_part_of_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id that a call expects of a run with a fault is that under which its worker stores it."""
    planned: list[Run] = []

    def run_all(runs: list[Run], *_: object, **__: object) -> None:
        planned.extend(runs)

    seen = []
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setattr(local, "run_all", run_all)
    monkeypatch.setattr(Store, "finished", lambda _, ids: seen.extend(ids) or set())
    command = ["run", "--profile", "smoke", "--seeds", "1", "--variants", "Model4", *NOTEBOOK]
    assert (
        main([*command, "--inject-fault", "threads_2", "--results", str(tmp_path / "results")]) == 0
    )
    with reproducible_settings(threads=2):
        environment = read_environment("cuda" if torch.cuda.is_available() else "cpu", "threads_2")
    assert seen == [run_id(run, environment) for run in planned]
    assert os.environ["OMP_WAIT_POLICY"] == "passive"


def test_help_lists_the_injected_faults(capsys: pytest.CaptureFixture[str]) -> None:
    """The help names every fault and control."""
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in FAULTS)


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """The grid is printed for people, and for programs as JSON."""
    assert main(["list", "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    assert "cannot run here: needs a GPU: a CPU has no CUDA graphs" in text
    assert main(["list", "--device", "cpu", "--json"]) == 0
    grid = json.loads(capsys.readouterr().out)
    assert len(grid) == len(VARIANTS) * len(BACKENDS)
    configurations = {
        (configuration["variant"], configuration["backend"]): configuration
        for configuration in grid
    }
    assert configurations["Model5", "nn"]["notebook"]
    assert configurations["Model5", "nn"]["kernel"] == "ATen"
    assert not configurations["Model0", "nn"]["runs_here"]
    assert (
        configurations["Model0", "nn"]["reason"] == "nn needs a recurrent model (Model4 to Model7)"
    )
    assert "needs a GPU" in configurations["Model0", "graphed"]["reason"]
    assert {s["variant"] for s in grid if s["notebook"]} == set(VARIANTS)
    together = [configurations[variant, "ensemble"] for variant in VARIANTS]
    assert all(row["runs_here"] and "over all seeds" in row["kernel"] for row in together)


def test_list_needs_the_device(capsys: pytest.CaptureFixture[str]) -> None:
    """A GPU that is not there is one line and exit code 2."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert main(["list", "--device", "cuda"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
