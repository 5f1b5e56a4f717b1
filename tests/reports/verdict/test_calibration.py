"""Measuring check's own false-alarm and detection rates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.store.records import ENSEMBLE
from bench.store.store import Contents, Store
from reports.__main__ import main
from reports.verdict import calibration
from reports.verdict.calibration import FRESH, REPEATED, Pool, null_nights, shifted_nights
from reports.verdict.rates import Rate, false_alarms, found_faults, published_calibration
from tests.made_up import notebook_night as night

SIZES = {"nights": 2, "baseline_seeds": 14, "night_seeds": 6}


@pytest.fixture(scope="module")
def runs() -> Contents:
    """Thirty seeds of every variant."""
    contents = night(30)
    contents.runs["weights_sha256"] = contents.runs["run_id"]
    return contents


@pytest.fixture(scope="module")
def again(runs: Contents) -> Contents:
    """The ensemble's runs of most of these seeds, which differ by rounding."""
    rows = runs.runs[runs.runs["seed"] > 3]
    epochs = runs.epochs[runs.epochs["seed"] > 3]
    both = [
        table.assign(backend=ENSEMBLE, run_id="again" + table["run_id"]) for table in (rows, epochs)
    ]
    both[0]["weights_sha256"] += "again"
    both[1]["valid_loss"] *= 1 + 1e-7 * np.random.default_rng(6).choice([-1, 1], len(both[1]))
    return replace(runs, runs=both[0], epochs=both[1])


@pytest.fixture(scope="module")
def pool(runs: Contents, again: Contents) -> Pool:
    """Both, to draw nights from."""
    return calibration.make_pool(runs, again)


def test_pool(pool: Pool, runs: Contents, again: Contents) -> None:
    """Both parts have the same configurations; a seed that a variant lacks is left out."""
    keys = ["variant", "backend"]
    assert set(pool.runs.runs.set_index(keys).index) == set(pool.again.runs.set_index(keys).index)
    assert set(pool.again.epochs["run_id"]) == set(pool.again.runs["run_id"])
    assert sorted(set(pool.again.runs["seed"])) == list(range(4, 30))
    lacking = (again.runs["variant"] == "Model3") & (again.runs["seed"] == 7)
    fewer = calibration.make_pool(runs, replace(again, runs=again.runs[~lacking]))
    assert 7 not in set(fewer.again.runs["seed"])
    one = replace(again, runs=again.runs[again.runs["variant"] == "Model3"])
    with pytest.raises(ValueError, match="no seed has runs of all 8 variants"):
        calibration.make_pool(runs, one)
    with pytest.raises(ValueError, match="no seed has runs in both folders"):
        calibration.make_pool(night(4), again)


@pytest.mark.parametrize(("kind", "baseline", "own"), [(FRESH, 14, 6), (REPEATED, 14, 12)])
def test_null_nights(kind: str, baseline: int, own: int, pool: Pool) -> None:
    """Nights without a change mostly pass, and are the same each time they are drawn."""
    sizes = {"baseline_seeds": baseline, "night_seeds": own}
    nights = null_nights(pool, kind, nights=2, **sizes)
    assert list(nights.columns) == ["kind", "night", "first", "last", "gate"]
    assert set(nights["first"]) <= {0, 4}
    assert (nights["last"] == 0).any()
    pd.testing.assert_frame_equal(nights[:1], null_nights(pool, kind, nights=1, **sizes))


@pytest.mark.parametrize("kind", [FRESH, REPEATED])
def test_seeds_of_a_night(kind: str, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh night shares no seed with its baseline, a repeated one all, but not the runs."""
    seen: list[list[pd.DataFrame]] = []

    def watch(*contents: Contents) -> calibration.Outcome:
        seen.append([each.runs for each in contents])
        return calibration.Outcome(0, 0)

    monkeypatch.setattr(calibration, "judge_twice", watch)
    null_nights(pool, kind, **SIZES)
    for tonight, fresh, baseline in seen:
        seeds = [set(runs["seed"]) for runs in (tonight, fresh, baseline)]
        assert [len(each) for each in seeds] == [6, 6, 14]
        assert not seeds[1] & (seeds[0] | seeds[2])
        assert seeds[1] <= set(pool.again.runs["seed"])
        assert not set(tonight["run_id"]) & set(baseline["run_id"])
        assert seeds[0] & seeds[2] == (seeds[0] if kind == REPEATED else set())
    first, second = ({*each[0]["run_id"]} for each in seen)
    own = set(pool.again.runs["run_id"])
    assert (first <= own, not second & own) == (kind == REPEATED, True)


def test_too_few_seeds(pool: Pool) -> None:
    """A night, its confirmation and its baseline need seeds of their own."""
    for kind, needed in ((FRESH, 36), (REPEATED, 30)):
        with pytest.raises(ValueError, match=f"{kind} seeds need {needed} seeds that both folders"):
            null_nights(pool, kind, nights=1, baseline_seeds=24, night_seeds=6)


def test_shifted_nights(pool: Pool) -> None:
    """A large shift is always noticed in the variant that has it, and none is hardly ever."""
    found = shifted_nights(pool, nights=4, baseline_seeds=20, night_seeds=8, shifts=(0.0, 4.0))
    assert found["shift"].tolist() == [0, 4]
    assert found["suspected"].tolist() == [0, 4]
    assert (found[["seeds", "baseline_seeds", "nights"]] == [8, 20, 4]).all(axis=None)


@pytest.mark.parametrize("moved", [0.0, 0.5])
def test_the_same_as_check(moved: float, tmp_path: Path) -> None:
    """A healthy night and a faulty one get the same verdicts as from ``reports check``."""
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
    assert outcome[:2] == ((4, 1) if moved else (0, 0))


def test_rates() -> None:
    """Counts, rates and exact intervals: none of 300 is at most 1.2%."""
    gates = ["", "values", "values", "data"]
    rows = pd.DataFrame(
        {"kind": "fresh", "first": [0, 4, 4, 3], "last": [0, 0, 1, 3], "gate": gates}
    )
    assert list(false_alarms(rows)) == [
        ("fresh", "all gates", Rate(3, 4), Rate(2, 4), Rate(1, 4)),
        ("fresh", "data", Rate(1, 4), Rate(1, 4), Rate(0, 4)),
        ("fresh", "values", Rate(2, 4), Rate(1, 4), Rate(1, 4)),
    ]
    assert Rate(0, 300).interval == pytest.approx((0, 0.0122), abs=1e-4)
    assert str(Rate(1, 4)) == "1 of 4 (25.0%; 0.6% to 80.6%)"


def test_found_faults() -> None:
    """Nights of all models are counted together, those of other epochs are not."""
    rows = [("a", "Model0", 1, 2, 4, 3), ("a", "Model1", 1, 2, 4, 4), ("a", "Model0", 1, 1, 4, 0)]
    columns = ["kind", "variant", "seeds", "epochs", "nights", "found"]
    assert found_faults(pd.DataFrame(rows, columns=columns)) == {"a": {1: Rate(7, 8)}}


def test_command(
    tmp_path: Path,
    runs: Contents,
    again: Contents,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command writes both tables, which the next verdict shows."""
    for name, contents in (("pool", runs), ("again", again)):
        Store(tmp_path / name).write_contents(contents)
    folders = ("--results", "pool"), ("--again", "again"), ("--output", "calibration")
    command = ["calibrate", *(word for o, name in folders for word in (o, str(tmp_path / name)))]
    sizes = ["--nights", "1", "--shifted-nights", "1", "--seeds", "6", "--baseline-seeds"]
    assert main([*command, *sizes, "14"]) == 0
    assert "nights of fresh seeds without a change, by all gates: " in capsys.readouterr().out
    assert main([*command, *sizes, "30"]) == 2
    assert "nights of fresh seeds need 42 seeds that both folders have" in capsys.readouterr().err
    measured = published_calibration(tmp_path / "calibration")
    monkeypatch.setattr("reports.verdict.judgement.published_calibration", lambda: measured)
    main(["check", "--results", str(tmp_path / "pool"), "--output", str(tmp_path / "report")])
    text = (tmp_path / "report" / "verdict.md").read_text(encoding="utf-8")
    assert "| fresh | all gates | " in text
    assert "| repeated | all gates | " in text
    assert "| weight\\_decay\\_0 | " in text or "weight_decay_0 | " in text
    assert published_calibration(tmp_path) is None
