"""Measurements: interleaved rounds, the A/A control, and configurations that cannot be timed."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.__main__ import main
from bench.errors import StoreError
from bench.execution.parity import Parity, check
from bench.store.records import OK, Measurement, Timed
from bench.store.schemas import THROUGHPUT_SCHEMA
from bench.store.store import Store
from bench.timing import throughput
from bench.timing.calibration_workload import VERSION
from bench.timing.session import PHASES, Session
from bench.timing.throughput import Effort, measure, summary
from reports.verdict.throughput import changes
from tests.command_line import exit_code
from tests.made_up import frame_of
from tests.trainers import ENVIRONMENT, PROVENANCE

EFFORT = Effort(rounds=2, block_seconds=0.001, phases=("train_step",))


def measured(
    *backends: str, effort: Effort = EFFORT
) -> tuple[Measurement, pd.DataFrame, list[str]]:
    """Return a small measurement of Model4, its rows, and its lines of progress."""
    lines: list[str] = []
    measurement = measure(["Model4"], backends, effort, device="cpu", watch=lines.append)
    return measurement, pd.DataFrame(measurement.rows()), lines


def test_measure() -> None:
    """Every backend is timed in every round and phase; orders are shuffled.

    The reference is timed twice, asked for or not: a ratio needs its denominator.
    """
    measurement, rows, _ = measured("custom", effort=Effort(rounds=4, block_seconds=0.001))
    assert list(rows.columns) == [
        "measurement_id",
        "started_at",
        *[name for name in rows.columns if name not in ("measurement_id", "started_at")],
    ]
    assert set(rows.columns) == set(THROUGHPUT_SCHEMA.names)
    configurations = rows.groupby(["phase", "backend", "aa_control"]).size()
    assert dict(configurations) == {
        (phase, backend, aa_control): 4
        for phase in PHASES
        for backend, aa_control in (
            ("nn", False),
            ("nn", True),
            ("custom", False),
            ("calibration", False),
        )
    }
    orders = rows.sort_values(["phase", "round", "position"]).groupby(["phase", "round"])
    assert all(list(group["position"]) == [0, 1, 2, 3] for _, group in orders)
    assert (
        len({tuple(group["backend"] + group["aa_control"].astype(str)) for _, group in orders}) > 2
    )
    workload = rows["backend"] == "calibration"
    assert (rows["tokens"] == rows["steps"] * np.where(workload, 1, 64 * 20)).all()
    assert (rows["wall_seconds"] > 0).all()
    assert (rows["device_seconds"] > 0).all()
    assert set(rows.loc[workload, "kernel"]) == {VERSION}
    steps = rows[~workload & (rows["phase"] == "train_step")]
    assert (steps["peak_memory_bytes"] > 0).all()
    assert (rows.loc[~workload, "parity_float64"] < 1e-12).all()
    text = summary(measurement)
    assert text.count("ms per step: nn ") == 3
    assert "calibration " not in text.partition(VERSION)[0]
    assert f"\n{VERSION}, ms per step: " in text
    assert "; its steps per step of the reference: Model4 train_step " in text


def test_a_slow_step_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """End to end: with more work in a reference's step, the verdict names it by the workload."""
    effort = Effort(rounds=9, block_seconds=0.02, phases=("train_step",))

    def busy(session: Session) -> None:
        end = time.process_time() + 0.01
        _train_step(session)
        while time.process_time() < end:
            pass

    _train_step = Session._train_step  # slowed down as a defect would
    before, _, _ = measured(effort=effort)
    monkeypatch.setattr(Session, "_train_step", busy)
    tonight, _, _ = measured(effort=effort)
    frames = (frame_of(each.rows(), THROUGHPUT_SCHEMA) for each in (tonight, before))
    found = {(c.variant, c.backend, c.clock) for c in changes(*frames) if c.slower}
    assert ("Model4", "nn", "device_seconds") in found


def test_notebook_is_a_backend() -> None:
    """``notebook`` stands for each variant's own backend."""
    _, rows, _ = measured("notebook")
    assert set(rows["backend"]) == {"nn", "calibration"}


def test_skipped() -> None:
    """A configuration that cannot run here is one row with the reason, without a sample."""
    _, rows, lines = measured("graphed")
    (skipped,) = rows[rows["backend"] == "graphed"].to_dict(orient="records")
    assert skipped["status"] == "skipped"
    assert "needs a GPU" in skipped["error"]
    assert pd.isna(skipped["round"])
    assert any("graphed: skipped" in line for line in lines)


def test_unequal_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that the parity gate refuses has failed, and no sample of it is kept."""

    def shut(variant: object, backend: str, device: str) -> Parity:
        found = check(variant, backend, device)  # type: ignore[arg-type]
        return replace(found, failures=("outputs are wrong",) if backend == "custom" else ())

    monkeypatch.setattr(throughput, "check", shut)
    _, rows, _ = measured("custom")
    (failed,) = rows[rows["backend"] == "custom"].to_dict(orient="records")
    assert (failed["status"], failed["error"]) == ("failed", "outputs are wrong")
    assert len(rows[rows["backend"] == "nn"]) == 2 * EFFORT.rounds


@pytest.mark.parametrize("where", ["check", "Session"])
def test_a_broken_backend_costs_itself_only(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception, in the gate or in the first call, is recorded; the others are timed."""
    real = {"check": check, "Session": Session}[where]

    def broken(*arguments: object) -> object:
        if "custom" in arguments:
            raise RuntimeError("no compiler")
        return real(*arguments)  # type: ignore[operator]

    monkeypatch.setattr(throughput, where, broken)
    _, rows, _ = measured("custom", "cell")
    assert set(rows[rows["status"] == "ok"]["backend"]) == {"nn", "cell", "calibration"}
    (failed,) = rows[rows["backend"] == "custom"].to_dict(orient="records")
    assert (failed["status"], failed["error"]) == ("failed", "RuntimeError: no compiler")


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A call stores one file that the store reads back, and prints milliseconds a step."""
    command = ["throughput", "--profile", "smoke", "--variants", "Model4", "--device", "cpu"]
    assert main([*command, "--backends", "cell", "--results", str(tmp_path)]) == 0
    output = capsys.readouterr()
    assert "Model4 train_step, ms per step: nn " in output.out
    assert "24 rows stored in" in output.err
    contents = Store(tmp_path).read()
    assert len(contents.throughput) == 24
    assert contents.unreadable == {}
    (path,) = (tmp_path / "throughput").glob("*.parquet")
    Store(tmp_path).compact(tmp_path / "compact")
    compacted = Store(tmp_path / "compact").read().throughput
    pd.testing.assert_frame_equal(compacted, contents.throughput)
    path.write_bytes(path.read_bytes()[:-1])
    assert list(Store(tmp_path).read().unreadable) == [f"throughput/{path.name}"]


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        (["--rounds", "0"], "--rounds must be a whole number from 1 to 10,000, not 0"),
        (["--threads", "1025"], "--threads must be a whole number from 1 to 1,024, not 1025"),
        (["--backends", "cudnn"], "choose from notebook, nn"),
        (["--variants", "Model0", "--backends", "nn"], "Model0 on nn: nn needs a recurrent model"),
    ],
)
def test_bad_input(
    arguments: list[str], right: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad input gives exit code 2 and one line that says what would be valid."""
    command = ["throughput", "--results", str(tmp_path / "results"), *arguments]
    assert exit_code(main, command) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert right in error
    assert not (tmp_path / "results").exists()


def test_stored_before_it_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement that cannot be printed is stored; one that cannot be stored is printed."""
    printed: list[int] = []

    def print_late(_: Measurement) -> str:
        printed.append(len(list((tmp_path / "throughput").glob("*.parquet"))))
        return "what was measured"

    now = datetime.now(UTC)
    timed = Timed("Model4", "nn", False, "float32", "cpu", OK, None, None)  # noqa: FBT003
    measurement = Measurement("m" * 20, now, ENVIRONMENT, PROVENANCE, ((timed, None),))
    monkeypatch.setattr(throughput, "measure", lambda *_, **__: measurement)
    monkeypatch.setattr(throughput, "summary", print_late)
    assert main(["throughput", "--results", str(tmp_path)]) == 0
    assert printed == [1]

    def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(Store, "write_measurement", refuse)
    assert main(["throughput", "--results", str(tmp_path)]) == 2
    assert printed == [1, 1]
