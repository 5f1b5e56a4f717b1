"""What ran on the last night of a history is missed where it does not run tonight."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.store.store import Store
from reports.__main__ import main
from reports.history.past import last_night
from reports.runs.completeness import notebook_configurations
from reports.verdict.evidence import Evidence
from reports.verdict.gates import LastNight
from reports.verdict.judgement import judge
from tests.history_data import FIRST, made_up_history
from tests.reports.verdict.test_gates import TIMED, elsewhere, reason
from tests.reports.verdict.test_judgement import night

EVERY_CONFIGURATION = frozenset(notebook_configurations())


def test_a_gate_that_ran_last_night_is_missed() -> None:
    """Equal weights, throughput or the baseline as a whole: what ran must run again."""
    last = LastNight(
        "2026-01-01",
        frozenset({"same as the baseline", "accuracy and loss", "throughput"}),
        EVERY_CONFIGURATION,
    )
    alone = judge(Evidence.of(night(), last=last))
    assert alone.exit_code == 3
    assert [reason.split(";")[0] for reason in alone.reasons] == [
        "lost gate: same as the baseline ran on 2026-01-01 and not tonight: no baseline was given",
        "lost gate: accuracy and loss ran on 2026-01-01 and not tonight: no baseline was given",
        "lost gate: throughput ran on 2026-01-01 and not tonight: no baseline was given",
    ]
    assert "; make it run again, or accept the change with a new baseline" in alone.reasons[0]
    assert reason(alone, "last night's gates") == "3 that ran on 2026-01-01 did not run tonight"
    before = elsewhere(night(20, hashes="x"), torch_version="2.12.0")
    moved = judge(Evidence.of(night(20), before, last=last))
    assert [problem.kind for problem in moved.problems] == ["lost gate", "lost gate"]
    assert "160 runs: their initial weights are not recorded" in moved.reasons[0]
    whole = judge(Evidence.of(night(20, samples=TIMED), night(20, samples=TIMED), last=last))
    assert whole.verdict == "agrees"
    assert reason(whole, "last night's gates") == "all that ran on 2026-01-01 ran again"


def test_a_configuration_that_ran_last_night_is_missed() -> None:
    """Also where the baseline never had it."""
    last = LastNight("2026-01-01", frozenset(), EVERY_CONFIGURATION | {("Model5", "compiled")})
    judgement = judge(Evidence.of(night(20), night(20), last=last))
    (why,) = judgement.reasons
    assert why.startswith("missing configuration: Model5 compiled has no runs; train what ran ")


def test_timing_that_ran_last_night_is_missed() -> None:
    """Also without a baseline, or where the baseline was never timed."""
    last = LastNight("2026-01-01", frozenset(), EVERY_CONFIGURATION, frozenset({("Model4", "nn")}))
    for before in (None, night(20)):
        judgement = judge(Evidence.of(night(20), before, last=last))
        assert judgement.exit_code == 3
        (why,) = judgement.reasons
        assert why.startswith("missing timing: nothing of what was timed on 2026-01-01 was timed ")
        again = judge(Evidence.of(night(20, samples=TIMED), before, last=last))
        assert not again.problems


def test_the_last_night_is_the_last_complete_one() -> None:
    """Passed over are an incomplete night, tonight, and one that failed without a baseline."""
    nights = made_up_history(4).assign(gates="complete data; throughput")
    day = pd.Timedelta(days=1)
    nights.loc[nights["night"] == FIRST + 2 * day, "verdict"] = "incomplete"
    nights.loc[nights["night"] == FIRST + 3 * day, ["verdict", "gates"]] = [
        "differs",
        "complete data",
    ]
    last = LastNight(
        "2026-01-03",
        frozenset({"complete data", "throughput"}),
        frozenset({("Model5", "nn")}),
        frozenset({("Model5", "nn")}),
    )
    assert last_night(nights, FIRST + 5 * day, FIRST + 5 * day) == last
    assert last_night(nights, FIRST, FIRST + 9 * day) == last  # an old run beside tonight's
    assert last_night(nights, FIRST, FIRST) is None
    before = last_night(nights.assign(gates=None), FIRST + day, FIRST + day)
    assert before is not None
    assert (before.night, before.gates) == ("2026-01-02", frozenset())


def test_a_night_without_a_baseline_hides_no_lost_one() -> None:
    """One that agreed by the notebook alone counts only where no night before had a baseline."""
    day = pd.Timedelta(days=1)
    nights = made_up_history(3).assign(gates="complete data; same as the baseline")
    alone = nights["night"] == FIRST + 2 * day
    nights.loc[alone, ["verdict", "gates"]] = ["agrees", "complete data; same computation"]
    tonight = FIRST + 3 * day
    found = last_night(nights, tonight, tonight, without_baseline=True)
    assert found is not None
    assert (found.night, "same as the baseline" in found.gates) == ("2026-01-03", True)
    found = last_night(nights, tonight, tonight)
    assert found is not None
    assert found.night == "2026-01-04"
    found = last_night(nights[alone], tonight, tonight, without_baseline=True)
    assert found is not None
    assert found.night == "2026-01-04"


def test_a_lost_baseline_is_noticed_by_the_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Night after night: what ran is missed until it runs again, or is left out on purpose."""
    past = str(tmp_path / "history")

    def check(number: int, *words: str) -> int:
        contents = night(60)
        later = contents.runs["started_at"] + pd.Timedelta(days=number)
        folder = tmp_path / f"night{number}"
        Store(folder).write_contents(
            replace(contents, runs=contents.runs.assign(started_at=later, ended_at=later))
        )
        words = ("--history", past, "--findings", str(tmp_path / "none.toml"), *words)
        return main(["check", "--results", str(folder), *words])

    (tmp_path / "none.toml").touch()
    Store(tmp_path / "frozen").write_contents(night(60))
    assert check(1, "--baseline", str(tmp_path / "frozen")) == 0
    for lost in (2, 3):
        assert check(lost) == 3
        assert "lost gate: same as the baseline ran on 2026-01-03 and not tonight" in (
            capsys.readouterr().out
        )
    assert check(4, "--no-baseline") == 4  # too few seeds for the notebook, and nothing is missed
    assert check(5) == 3, "a night that was judged by nothing is no example"
    assert check(6, "--baseline", str(tmp_path / "frozen")) == 0
    (path, *_) = (tmp_path / "history").iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    assert check(7, "--baseline", str(tmp_path / "frozen")) == 3
    assert f"unreadable history: {path}: " in capsys.readouterr().out
