"""Which gates of a night ran, and what they found."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from bench.store.store import Contents
from reports.verdict.evidence import Evidence
from reports.verdict.judgement import Judgement, judge
from tests.made_up import throughput_rows
from tests.reports.verdict.test_judgement import confirmed_by, night, together

TIMED = throughput_rows({"nn": 2.0, "custom": 3.0})


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


def test_few_seeds_beside_many_of_an_ensemble() -> None:
    """Two seeds of a variant's own backend are held run by run; the ensemble's are compared."""
    ensemble = as_ensemble(night(20))
    few = night(2)
    both = together(few, ensemble)
    judgement = judge(Evidence.of(both, both))
    assert judgement.verdict == "agrees"
    assert reason(judgement, "accuracy and loss") == (
        "16 columns compared seed by seed; too few seeds for that in 8 configurations"
    )
    assert judgement.notes == ()
    worse = as_ensemble(night(20, moved={"Model4": -0.2}))
    suspected = judge(Evidence.of(together(few, worse), both))
    assert "Model4 ensemble" in reason(suspected, "accuracy and loss")


def as_ensemble(contents: Contents) -> Contents:
    """Return the runs as an ensemble's."""
    mark = {"backend": "ensemble"}
    return elsewhere(replace(contents, epochs=contents.epochs.assign(**mark)), **mark)
