"""Which gates of a night ran, what they found, and what is said of one that is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.store.store import Contents, Store
from reports.__main__ import main
from reports.history.past import last_night
from reports.runs.completeness import notebook_configurations
from reports.verdict.evidence import Evidence
from reports.verdict.gates import LastNight
from reports.verdict.judgement import Judgement, judge
from tests.history_data import FIRST, made_up_history
from tests.made_up import throughput_rows
from tests.reports.verdict.test_judgement import confirmed_by, night, together

TIMED = throughput_rows({"nn": 2.0, "custom": 3.0})
EVERY_CONFIGURATION = frozenset(notebook_configurations())


def states(judgement: Judgement) -> dict[str, str]:
    """Return what each gate came to."""
    return {gate.name: gate.state for gate in judgement.gates}


def reason(judgement: Judgement, name: str) -> str:
    """Return the reason of a gate."""
    return next(gate.reason for gate in judgement.gates if gate.name == name)


def elsewhere(contents: Contents, **values: str) -> Contents:
    """Return runs of another environment: other values, and so other ids."""
    runs = contents.runs.assign(run_id="x" + contents.runs["run_id"], **values)
    epochs = contents.epochs.assign(run_id="x" + contents.epochs["run_id"])
    return replace(contents, runs=runs, epochs=epochs)


def test_a_whole_night() -> None:
    """Against a baseline with throughput every gate runs but those that are not called for."""
    judgement = judge(Evidence.of(night(20, samples=TIMED), night(20, samples=TIMED)))
    assert judgement.verdict == "agrees"
    assert [str(gate) for gate in judgement.gates] == [
        "complete data: passed, 160 runs in 8 configurations",
        "same computation: not run, 160 runs: their initial weights are not recorded",
        "notebook's tables: not run, the baseline decides; the tables are shown below",
        "same as the baseline: passed, 160 runs, all with the same weights as in the baseline",
        "accuracy and loss: passed, 16 columns compared seed by seed",
        "confirmation: not run, nothing is suspected",
        "throughput: passed, none of 3 ratios fell",
        "last night's gates: not run, no history was given",
    ]


def test_a_night_without_throughput() -> None:
    """Where the baseline was timed, a night that timed nothing is incomplete, and says so."""
    judgement = judge(Evidence.of(night(20), night(20, samples=TIMED)))
    assert judgement.exit_code == 3
    assert judgement.reasons == (
        "missing timing: Model4 custom has no train_step, forward, validation",
    )
    assert states(judgement)["throughput"] == "not run"
    assert reason(judgement, "throughput") == "nothing was timed tonight"


def test_another_machines_baseline() -> None:
    """Its weights and throughput cannot be compared: both gates say why, and the rest decides."""
    before = elsewhere(
        night(20, hashes="x", samples=TIMED.assign(device_name="a GPU")),
        device_name="a GPU",
        torch_version="2.12.0",
        source_sha256="e" * 64,
    )
    judgement = judge(Evidence.of(night(20, samples=TIMED), before))
    assert judgement.verdict == "agrees"
    assert states(judgement) == {
        "complete data": "passed",
        "same computation": "not run",
        "notebook's tables": "not run",
        "same as the baseline": "not run",
        "accuracy and loss": "passed",
        "confirmation": "not run",
        "throughput": "not run",
        "last night's gates": "not run",
    }
    assert reason(judgement, "same as the baseline") == (
        "160 runs: their initial weights are not recorded"
    )
    assert reason(judgement, "throughput") == (
        "tonight's timings are of a processor, the baseline's of a GPU"
    )
    untimed = judge(Evidence.of(night(20), before))
    assert (untimed.verdict, states(untimed)["throughput"]) == ("agrees", "not run")


def test_a_night_without_a_baseline() -> None:
    """The notebook decides; what needs a baseline says that there is none."""
    judgement = judge(Evidence.of(night()))
    assert states(judgement) == {
        "complete data": "passed",
        "same computation": "not run",
        "notebook's tables": "passed",
        "same as the baseline": "not run",
        "accuracy and loss": "not run",
        "confirmation": "not run",
        "throughput": "not run",
        "last night's gates": "not run",
    }
    assert reason(judgement, "same as the baseline") == "no baseline was given"
    few = judge(Evidence.of(night(5)))
    assert reason(few, "notebook's tables") == "it needs 159 seeds per model"
    far = judge(Evidence.of(night(moved={"Model4": 2.0})))
    assert states(far)["notebook's tables"] == "failed"


def test_fresh_seeds_repeat_nothing() -> None:
    """They cannot be compared run by run, and the gate says so."""
    judgement = judge(Evidence.of(night(20, start=100), night(20)))
    assert states(judgement)["same as the baseline"] == "not run"
    assert reason(judgement, "same as the baseline") == "160 runs: no such run in the baseline"


def test_one_round_shows_no_change() -> None:
    """A ratio without an interval is not judged, however low."""
    slow = throughput_rows({"nn": 2.0, "custom": 9.0}, rounds=1)
    judgement = judge(Evidence.of(night(20, samples=slow), night(20, samples=TIMED)))
    assert reason(judgement, "throughput") == (
        "3 of 3 ratios measured in a single round, which cannot show a change"
    )


def test_weights_without_a_hash() -> None:
    """Their runs are compared by their values, and not counted as equal weights."""
    before = night(20)
    before.runs.loc[1:, "weights_sha256"] = None
    words = reason(judge(Evidence.of(night(20), before)), "same as the baseline")
    assert words.endswith("as in the baseline, 1 of them with the same weights")


def test_one_configuration_of_few_seeds_can_be_rejected_by_nothing() -> None:
    """However many seeds the others have, that one has not passed."""
    tonight = night(20)
    few = (tonight.runs["variant"] == "Model5") & (tonight.runs["seed"] > 0)
    judgement = judge(Evidence.of(replace(tonight, runs=tonight.runs[~few]), night(20)))
    assert reason(judgement, "accuracy and loss") == "too few seeds to reject anything"
    assert judgement.verdict in ("inconclusive", "incomplete")


def test_runs_of_another_dtype_are_a_note() -> None:
    """Runs in float64 are not judged, and the night says so."""
    more = night(40, start=100)
    both = together(night(20), replace(more, runs=more.runs.assign(dtype="float64")))
    assert judge(Evidence.of(both)).notes == (
        "Left out: 320 runs with other settings: dtype float64.",
    )


def test_what_the_baseline_lacks_is_said() -> None:
    """A configuration that only tonight has is compared with nothing, and that is a note."""
    before = night(20)
    lacking = replace(before, runs=before.runs[before.runs["variant"] != "Model5"])
    notes = judge(Evidence.of(night(20), lacking)).notes
    assert "Model5 nn is not in the baseline: whether it is worse cannot be said." in notes


def test_a_newer_baseline_is_said() -> None:
    """A night held against a later one is held so on purpose, and it is a note."""
    before = night(20)
    later = before.runs["started_at"] + pd.Timedelta(days=1)
    notes = judge(
        Evidence.of(night(20), replace(before, runs=before.runs.assign(started_at=later)))
    ).notes
    assert notes == ("The baseline is newer than this night.",)


def test_suspicion_and_confirmation() -> None:
    """A suspicion fails its gate; fresh seeds confirm it, clear it, or are too few."""
    worse = {"Model5": 0.3}
    evidence = Evidence.of(night(60, start=100, moved=worse), night(60))
    suspected = judge(evidence)
    assert reason(suspected, "accuracy and loss") == "Model5 nn suspected to differ"
    assert reason(suspected, "confirmation") == "there are no sound runs of fresh seeds"
    confirmed = judge(confirmed_by(evidence, night(60, start=200, moved=worse)))
    assert states(confirmed)["confirmation"] == "failed"
    cleared = judge(confirmed_by(evidence, night(60, start=200)))
    assert states(cleared)["confirmation"] == states(cleared)["accuracy and loss"] == "passed"
    few = judge(confirmed_by(evidence, night(20, start=200)))
    assert (few.exit_code, states(few)["confirmation"]) == (4, "not run")
    assert reason(few, "confirmation") == "it rules out nothing: there are too few of them"
    assert few.confirmation_seeds == "160-219", "the suspicion stays, and so does its command"


def test_too_few_seeds_run_no_gate() -> None:
    """A comparison that could reject nothing has not passed."""
    judgement = judge(Evidence.of(night(3), elsewhere(night(3))))
    assert judgement.verdict == "inconclusive"
    assert reason(judgement, "accuracy and loss") == "too few seeds to reject anything"


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


def fresh(seeds: int = 60, start: int = 200, **options: object) -> Contents:
    """Return runs of fresh seeds in which Model5 is as bad as tonight."""
    return night(seeds, start=start, moved={"Model5": 0.3}, **options)  # type: ignore[arg-type]


def only(contents: Contents, variant: str, seeds: range) -> pd.Series:
    """Say which runs are of a variant and these seeds."""
    return (contents.runs["variant"] == variant) & contents.runs["seed"].isin(seeds)


def half_failed() -> Contents:
    """Return fresh runs of which every second seed failed."""
    contents = fresh()
    failed = only(contents, "Model5", range(200, 260, 2))
    contents.runs.loc[failed, ["status", "error"]] = ["failed", "RuntimeError: injected"]
    return contents


def short() -> Contents:
    """Return fresh runs of one epoch."""
    contents = fresh()
    return replace(contents, runs=contents.runs.assign(epochs=1))


def older(contents: Contents) -> Contents:
    """Return runs of the day before."""
    started_at = contents.runs["started_at"] - pd.Timedelta(days=1)
    return replace(contents, runs=contents.runs.assign(started_at=started_at))


@pytest.mark.parametrize(
    ("confirmation", "count", "expected"),
    [
        (half_failed, 30, "confirmation: failed run: Model5 nn seed 200: RuntimeError: injected"),
        (short, 1, "confirmation: Model5 nn has no run of the full recipe"),
        (
            lambda: replace(fresh(), unreadable={"runs/x.parquet": "cut short"}),
            1,
            "confirmation: unreadable file: runs/x.parquet: cut short",
        ),
        (
            lambda: elsewhere(fresh(), torch_version="2.12.0"),
            1,
            "confirmation: torch_version is 2.12.0, tonight's 2.13.0",
        ),
        (
            lambda: elsewhere(fresh(), device_name="a GPU"),
            1,
            "confirmation: device_name is a GPU, tonight's a processor",
        ),
        (
            lambda: elsewhere(fresh(), injected_fault="lr_times_3"),
            1,
            "confirmation: injected_fault is lr_times_3, tonight's none",
        ),
        (
            lambda: older(fresh()),
            1,
            "confirmation: its runs are older than the night's: delete them and train fresh seeds",
        ),
        (
            lambda: night(60),
            1,
            "confirmation: seeds 0-59 are not fresh: the night or the baseline has them",
        ),
        (
            lambda: night(60, start=100, moved={"Model5": 0.3}),
            1,
            "confirmation: seeds 100-159 are not fresh: the night or the baseline has them",
        ),
    ],
    ids="failed short unreadable torch device fault older baseline night".split(),
)
def test_fresh_seeds_are_examined(
    confirmation: Callable[[], Contents], count: int, expected: str
) -> None:
    """What cannot confirm is named, and neither clears a night nor leaves it merely open."""
    evidence = Evidence.of(night(60, start=100, moved={"Model5": 0.3}), night(60), confirmation())
    judgement = judge(evidence)
    assert judgement.exit_code == 3
    assert len(judgement.problems) == count
    assert judgement.reasons[0] == expected
    assert "is suspected to" in judgement.reasons[-1]
    assert states(judgement)["confirmation"] == "not run"
    assert judgement.confirmation_seeds == "160-219"


def test_fresh_seeds_that_one_suspect_lacks() -> None:
    """Every suspected configuration needs the same fresh seeds."""
    worse = {"Model5": 0.3, "Model6": 0.3}
    confirmation = night(60, start=200, moved=worse)
    lost = only(confirmation, "Model6", range(230, 260))
    confirmation = replace(confirmation, runs=confirmation.runs[~lost])
    judgement = judge(Evidence.of(night(60, start=100, moved=worse), night(60), confirmation))
    assert [str(problem) for problem in judgement.problems] == [
        "confirmation: Model6 cell has no run of the full recipe of seeds 230-259"
    ]


def test_fresh_seeds_that_nothing_asks_for_are_not_examined() -> None:
    """Where nothing is suspected, leftover runs of another environment change nothing."""
    leftover = elsewhere(fresh(), torch_version="2.12.0")
    assert judge(Evidence.of(night(60), night(60), leftover)).verdict == "agrees"


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
        "2026-01-03", frozenset({"complete data", "throughput"}), frozenset({("Model5", "nn")})
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
