"""Every way in which a night's timing can be lost."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from reports.runs.timings import lost_since, lost_timings
from tests.made_up import START, throughput_rows

STEPS = {"nn": 2.0, "custom": 4.0, "compiled": 1.0, "calibration": 3.0}
TIMED = throughput_rows(STEPS)
PHASES = "train_step, forward, validation"
BEFORE = "and the baseline has 4 configurations"
ADVICE = (
    "; time it with `python -m bench throughput --results DIR`, or accept the night without it: "
    "`python -m reports baseline accept`"
)


def without(*backends: str) -> pd.DataFrame:
    """Return a measurement without these."""
    return throughput_rows({name: step for name, step in STEPS.items() if name not in backends})


def failed() -> pd.DataFrame:
    """Return a measurement in which every configuration failed."""
    rows = TIMED.drop_duplicates(["backend"]).assign(status="failed", error="no compiler")
    return rows.assign(**dict.fromkeys(["phase", "round", "steps", "wall_seconds"]))


@pytest.mark.parametrize(
    ("night", "what"),
    [
        (TIMED.iloc[:0], f"nothing was timed tonight, {BEFORE}"),
        (
            failed(),
            f"nothing could be timed tonight, {BEFORE}: Model4 nn failed, no compiler",
        ),
        (
            TIMED.assign(dtype="float64"),
            "tonight's timings are of dtype float64, the baseline's of float32",
        ),
        (
            TIMED.assign(threads=2),
            "tonight's timings are of number of threads 2, the baseline's of 1",
        ),
        (
            TIMED.assign(device_name="a GPU", device="cuda"),
            "tonight's timings are of device a GPU, the baseline's of a processor",
        ),
        (
            throughput_rows(STEPS, variant="Model5"),
            f"nothing of what the baseline timed was timed tonight, {BEFORE}",
        ),
        (without("custom"), f"Model4 custom has no {PHASES}"),
        (without("nn"), f"Model4 nn has no {PHASES}"),
        (
            TIMED[TIMED["phase"] != "forward"],
            "the calibration workload was not timed beside Model4",
        ),
        (without("calibration"), "the calibration workload was not timed beside Model4"),
    ],
)
def test_lost(night: pd.DataFrame, what: str) -> None:
    """Each is a problem that says what is missing, and the last one says what to do."""
    found = lost_timings(night, TIMED, ["a processor"])
    assert found[-1].detail == what + ADVICE
    assert {problem.kind for problem in found} == {"missing timing"}


def test_not_lost() -> None:
    """What was timed again is there, as is all where the baseline had no timing for the device."""
    assert lost_timings(TIMED, TIMED, ["a processor"]) == []
    assert lost_timings(TIMED, without("calibration"), ["a processor"]) == []
    assert lost_timings(TIMED.iloc[:0], TIMED.iloc[:0], ["a processor"]) == []
    gpu = TIMED.assign(device_name="a GPU", device="cuda")
    assert lost_timings(gpu, TIMED) == []
    assert lost_timings(TIMED.iloc[:0], TIMED, ["a GPU"]) == []
    newer = throughput_rows(STEPS, version="calibration workload 2")
    assert lost_timings(newer, TIMED) == []


def test_lost_since_last_night() -> None:
    """Where the history had timings of the runs' own kind, each or all may be missing."""
    runs = TIMED[["device_name", "dtype"]].head(1)
    timed = {("Model4", "nn"), ("Model4", "custom")}
    assert lost_since(TIMED, runs, timed, "2026-01-01") == []
    assert lost_since(TIMED.iloc[:0], runs, (), "2026-01-01") == []
    (one,) = lost_since(without("custom"), runs, timed, "2026-01-01")
    assert one.detail == "Model4 custom was timed on 2026-01-01 and not tonight" + ADVICE
    elsewhere = TIMED.assign(device_name="a GPU", started_at=START + timedelta(days=1))
    for lost in (TIMED.iloc[:0], failed(), elsewhere, TIMED.assign(dtype="float64")):
        (every,) = lost_since(lost, runs, timed, "2026-01-01")
        assert every.detail == (
            "nothing of what was timed on 2026-01-01 was timed tonight (Model4 custom, Model4 nn)"
            + ADVICE
        )
