"""The measurement of check itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.store.store import Contents, Store
from reports.__main__ import main
from reports.verdict import calibration
from reports.verdict.calibration import detect_faults, null_nights
from reports.verdict.rates import Rate, false_alarms, published_calibration, rates_by_fault
from tests.reports.verdict.test_judgement import night


@pytest.fixture(scope="module")
def pool() -> Contents:
    """Thirty seeds of every variant."""
    contents = night(30)
    contents.runs["weights_sha256"] = contents.runs["run_id"]
    return contents


def faulty(pool: Contents, moved: float, *, hashes: str | None = None) -> Contents:
    """Return runs of Model5 as a fault would leave them: other accuracies, other software."""
    contents = night(12, start=500, moved={"Model5": moved})
    runs = contents.runs[contents.runs["variant"] == "Model5"].copy()
    runs["weights_sha256"] = runs["run_id"] if hashes is None else hashes
    runs = runs.assign(injected_fault="a_fault", commit="another")
    epochs = contents.epochs[contents.epochs["run_id"].isin(runs["run_id"])]
    return replace(pool, runs=runs, epochs=epochs)


def test_null_nights(pool: Contents) -> None:
    """Nights of the pool's own law mostly pass, and are the same each time they are drawn."""
    sizes = {"nights": 2, "baseline_seeds": 30, "night_seeds": 8}
    nights = null_nights(pool, baselines=2, **sizes)
    assert list(nights.columns) == ["baseline", "night", "first", "last"]
    assert list(nights["baseline"]) == [0, 0, 1, 1]
    assert set(nights["first"]) <= {0, 4}
    assert (nights["last"] == 0).sum() >= 3
    pd.testing.assert_frame_equal(nights[:2], null_nights(pool, baselines=1, **sizes))


def test_confirmation_is_of_other_seeds(pool: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    """A night, its confirmation and the baseline share no seed."""
    seen: list[set[int]] = []

    def watch(night: Contents, fresh: Contents, baseline: Contents) -> calibration.Outcome:
        runs = [night.runs, fresh.runs, baseline.runs]
        seen.extend(set(each["seed"]) for each in runs)
        return calibration.Outcome(0, 0)

    monkeypatch.setattr(calibration, "judge_twice", watch)
    null_nights(pool, baselines=1, nights=1, baseline_seeds=9, night_seeds=7)
    detect_faults(pool, faulty(pool, 0.0), baseline_seeds=9, night_seeds=[6], nights=1)
    for start in (0, 3):
        night_, fresh, baseline = seen[start : start + 3]
        assert (len(night_), len(fresh), len(baseline)) == ((7, 7, 9) if not start else (6, 6, 9))
        assert not (night_ & fresh)
        assert not (night_ & baseline)
        assert not (fresh & baseline)


@pytest.mark.parametrize(
    ("moved", "hashes", "first", "last"),
    [(0.5, None, {4}, {1}), (0.0, None, {0, 4}, {0}), (0.0, "the same", {3}, {3})],
)
def test_detect_faults(
    moved: float, hashes: str | None, first: set[int], last: set[int], pool: Contents
) -> None:
    """A fault is suspected and confirmed, none is not; one seed under many names is corrupt."""
    nights = detect_faults(
        pool,
        faulty(pool, moved, hashes=hashes),
        baseline_seeds=30,
        night_seeds=[6],
        nights=1,
    )
    assert set(nights["first"]) <= first
    assert set(nights["last"]) == last
    ((injected_fault, variants, seeds, noticed, failed),) = rates_by_fault(nights)
    assert (injected_fault, variants, seeds, noticed.trials) == ("a_fault", "Model5", 6, 1)
    assert failed.count == (0 if last == {0} else 1)


@pytest.mark.parametrize("moved", [0.0, 0.5])
def test_the_same_as_check(moved: float, tmp_path: Path) -> None:
    """A night without a change and one with a fault end as ``reports check`` has them end."""
    baseline = night(30)
    tonight = night(20, start=100, moved={"Model5": moved})
    fresh = night(20, start=200, moved={"Model5": moved})
    outcome = calibration.judge_twice(tonight, fresh, baseline)
    folders = [tmp_path / name for name in ("tonight", "fresh", "baseline")]
    for folder, contents in zip(folders, (tonight, fresh, baseline), strict=True):
        Store(folder).write_contents(contents)
    check = ["check", "--results", str(folders[0]), "--baseline", str(folders[2])]
    assert outcome.first == main(check)
    assert outcome.last == main([*check, "--confirmation", str(folders[1])])
    assert outcome == (calibration.Outcome(4, 1) if moved else calibration.Outcome(0, 0))


def test_too_few_faulty_seeds(pool: Contents) -> None:
    """A night and its confirmation need seeds of their own."""
    with pytest.raises(ValueError, match="20 faulty seeds are needed, but only 12 were trained"):
        detect_faults(pool, faulty(pool, 0.0), baseline_seeds=30, night_seeds=[10], nights=1)


def test_whole_seeds(pool: Contents) -> None:
    """Nights are drawn from seeds that every variant has; more of one variant are left out."""
    runs = pool.runs[~((pool.runs["variant"] == "Model3") & (pool.runs["seed"] == 4))]
    whole = calibration.whole_seeds(replace(pool, runs=runs))
    assert sorted(set(whole.runs["seed"])) == [seed for seed in range(30) if seed != 4]
    assert set(whole.epochs["run_id"]) == set(whole.runs["run_id"])
    with pytest.raises(ValueError, match="no seed has runs of all 8 variants"):
        calibration.whole_seeds(replace(pool, runs=pool.runs[pool.runs["variant"] == "Model3"]))


def test_rates() -> None:
    """Counts, rates and exact intervals: none of 300 is at most 1.2%."""
    rows = pd.DataFrame({"first": [0, 4, 4, 3], "last": [0, 0, 1, 3]})
    suspected, failed = false_alarms(rows)
    assert (suspected, failed) == (Rate(3, 4), Rate(1, 4))
    assert Rate(0, 300).interval == (0, pytest.approx(0.0122, abs=1e-4))
    assert str(Rate(1, 4)) == "1 of 4 (25.0%; 0.6% to 80.6%)"


def test_command(
    tmp_path: Path,
    pool: Contents,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command writes both tables, which the next verdict shows."""
    Store(tmp_path / "pool").write_contents(pool)
    folder = ["--results", str(tmp_path / "pool"), "--output", str(tmp_path / "calibration")]
    command = ["calibrate", *folder, "--baselines", "1", "--nights", "1", "--seeds", "6"]
    assert main([*command, "--baseline-seeds", "20"]) == 0
    assert "nights without a change that were failed: " in capsys.readouterr().out
    measured = published_calibration(tmp_path / "calibration")
    monkeypatch.setattr("reports.verdict.judgement.published_calibration", lambda: measured)
    main(["check", "--results", str(tmp_path / "pool"), "--output", str(tmp_path / "report")])
    text = (tmp_path / "report" / "verdict.md").read_text(encoding="utf-8")
    assert "judged against 1 baseline. It suspected " in text
