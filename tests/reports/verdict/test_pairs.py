"""A night's runs beside the baseline's runs of the same seeds."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from bench.store.store import Contents
from hnrnn.departures import CELL, MARGIN
from hnrnn.published import rounding
from reports.verdict.evidence import Evidence
from reports.verdict.judgement import Judgement, judge
from tests.computed_nights import computed_night, departing, with_runs
from tests.reports.verdict.test_same_computation import gate

PAIRED = "same as the baseline"


def against(night: Contents, baseline: Contents) -> Judgement:
    """Return the judgement of a night against a baseline, without findings but Model2's."""
    from reports.verdict.findings import read_findings

    return judge(Evidence.of(night, baseline, findings=tuple(read_findings())))


def test_a_new_torch_is_the_same_to_rounding() -> None:
    """Other ids and other weights are no failure; what moved is said in words."""
    before = with_runs(computed_night(3), torch_version="2.12.0", source_sha256="e" * 64)
    judgement = against(computed_night(3, draw=1, weights="other"), before)
    assert judgement.verdict == "agrees"
    words = (
        "torch 2.12.0 to 2.13.0, training code eeeeeeeeeeee to ssssssssssss: 24 runs, all the same "
        "to rounding as in the baseline; the baseline stays"
    )
    assert gate(judgement, PAIRED) == ("passed", words)
    assert f"T{words[1:]}. " in judgement.reasons[0]
    assert judgement.pairs is not None
    assert judgement.pairs.equal_weights == 0


def test_a_repeated_night_needs_no_more_seeds() -> None:
    """Equal weights are found whatever the ids are, and few seeds are enough after that."""
    judgement = against(computed_night(2), with_runs(computed_night(2)))
    assert judgement.exit_code == 0
    words = "16 runs, all with the same weights as in the baseline"
    assert gate(judgement, PAIRED) == ("passed", words)
    assert gate(judgement, "accuracy and loss")[0] == "not run"
    assert "which runs that are the same do not need" in judgement.reasons[0]


def quick_night() -> Contents:
    """Return a night like that of ``quick``: five seeds, on three backends from Model4 on."""
    own = computed_night(5)
    runs, epochs = [own.runs], [own.epochs]
    for backend in ("nn", "cell", "custom"):
        for rows, parts in ((own.runs, runs), (own.epochs, epochs)):
            more = rows[(rows["variant"] >= "Model4") & (rows["backend"] != backend)]
            parts.append(more.assign(backend=backend, run_id=more["run_id"] + backend))
    return replace(
        own, runs=pd.concat(runs, ignore_index=True), epochs=pd.concat(epochs, ignore_index=True)
    )


def test_quick_against_its_own_baseline() -> None:
    """The same bits agree; one configuration 30 points worse departs from both, however few."""
    before = quick_night()
    judgement = against(with_runs(quick_night()), before)
    assert (judgement.verdict, judgement.exit_code) == ("agrees", 0)
    assert gate(judgement, PAIRED) == (
        "passed",
        "80 runs, all with the same weights as in the baseline",
    )
    worse = quick_night()
    own = (worse.epochs["variant"] == "Model5") & (worse.epochs["backend"] == "cell")
    last = worse.epochs["epoch"] == worse.epochs.loc[own, "epoch"].max()
    worse.epochs.loc[own & last, "accuracy"] -= 0.3
    judgement = against(with_runs(worse), before)
    assert (judgement.verdict, judgement.exit_code) == ("differs", 1)
    assert [reason.split(":")[0] for reason in judgement.reasons if "Model5 cell" in reason] == [
        "Model5 cell is another computation than fastai 1.0.61's",
        "Model5 cell is another computation than the baseline's",
    ]


def test_other_bits_of_the_same_id_are_a_note() -> None:
    """Within rounding they fail nothing; what is not deterministic is said."""
    before = computed_night(3)
    judgement = against(computed_night(3, draw=1, weights="other"), before)
    assert (judgement.verdict, judgement.exit_code) == ("agrees", 0)
    assert gate(judgement, PAIRED)[1] == "24 runs, all the same to rounding as in the baseline"
    (note,) = judgement.notes
    assert note.startswith(
        "24 runs have the ids of runs in the baseline, and so the same code, software and numeric "
        "fingerprint, but other weights: something in the training is not deterministic, or "
    )
    one = computed_night(3)
    one.runs.loc[4, "weights_sha256"] = "other"
    (note,) = against(
        replace(one, runs=one.runs.assign(platform="Linux, AMD family 26")), before
    ).notes
    assert note.startswith("1 run has the id of one in the baseline, ")
    assert note.endswith(" (Linux in the baseline, Linux, AMD family 26 tonight).")
    assert against(with_runs(one), before).notes == (), "another id may have other bits"


def test_other_bits_that_depart_fail() -> None:
    """Whether or not the ids are the baseline's."""
    before = beyond_the_reference(computed_night(3))
    night = beyond_the_reference(departing(computed_night(3, weights="other"), "Model4", 0.01))
    for contents in (night, with_runs(night, source_sha256="e" * 64)):
        judgement = against(contents, before)
        assert (judgement.verdict, judgement.exit_code) == ("differs", 1)
        assert gate(judgement, PAIRED)[0] == "failed"


def test_equal_weights_need_no_recorded_start() -> None:
    """They are counted across commits, also where the initial weights are not recorded."""
    night, before = (
        with_runs(computed_night(3), initial_weights_sha256=None, source_sha256=source)
        for source in ("e" * 64, "s" * 64)
    )
    judgement = against(with_runs(night, commit="d" * 40), before)
    assert judgement.pairs is not None
    assert (judgement.pairs.equal_weights, judgement.pairs.not_compared) == (24, {})


@pytest.mark.parametrize("sign", [1, -1])
def test_another_computation_fails_for_better_or_worse(sign: int) -> None:
    """A change of seeds that no reference has is found in the pairs, in either direction."""
    before = beyond_the_reference(computed_night(3))
    night = departing(before, "Model4", -0.05 * sign)
    night = departing(night, "Model4", 0.05 * sign, column="accuracy")
    judgement = against(with_runs(night), before)
    assert (judgement.verdict, judgement.exit_code) == ("differs", 1)
    assert judgement.reasons[0].startswith(
        "Model4 nn is another computation than the baseline's: first in epoch 0, valid_loss, by "
    )
    assert gate(judgement, PAIRED)[0] == "failed"
    assert gate(judgement)[0] == "not run"


def beyond_the_reference(contents: Contents) -> Contents:
    """Return the same runs under seeds that no reference run has."""
    return replace(
        contents,
        runs=contents.runs.assign(seed=contents.runs["seed"] + 100_000),
        epochs=contents.epochs.assign(seed=contents.epochs["seed"] + 100_000),
    )


def test_float64_is_paired_too() -> None:
    """It has no reference run, and a baseline of its own dtype."""
    night = with_runs(computed_night(2), dtype="float64")
    judgement = against(with_runs(night), night)
    assert gate(judgement, PAIRED) == (
        "passed",
        "16 runs, all with the same weights as in the baseline",
    )
    assert judgement.exit_code == 4, "nothing holds these few runs against the notebook"
    assert judgement.reasons[0].startswith("the runs are the baseline's, but without a reference")


def test_what_is_not_compared_is_named() -> None:
    """Other initial weights, hashes that are not recorded, and seeds that one of both lacks."""
    night, before = computed_night(3), with_runs(computed_night(2, weights="other"))
    before.runs.loc[before.runs["variant"] == "Model1", "initial_weights_sha256"] = "others"
    before.runs.loc[before.runs["variant"] == "Model5", "initial_weights_sha256"] = None
    judgement = against(night, before)
    assert judgement.pairs is not None
    assert dict(judgement.pairs.not_compared) == {
        "no such run in the baseline": 8,
        "their initial weights are not recorded": 2,
        "other initial weights than the baseline's": 2,
    }
    assert judgement.pairs.uncovered == (("Model1", "custom"), ("Model5", "nn"))
    assert gate(judgement, PAIRED)[0] == "not run"


def test_an_odd_pair() -> None:
    """One seed's jump of rounding among five is no failure."""
    cell = rounding().set_index(CELL).loc[("ones", "Model1", 0, "valid_loss")]
    night = departing(computed_night(5), "Model1", 2 * MARGIN * float(cell["furthest"]), seeds=[2])
    assert against(with_runs(night, torch_version="2.14.0"), computed_night(5)).exit_code == 0


def test_a_baseline_that_departs_is_at_fault() -> None:
    """Where the night is the reference's computation, the baseline has to be frozen again."""
    judgement = against(computed_night(3), with_runs(departing(computed_night(3), "Model5", 0.1)))
    assert (judgement.verdict, judgement.exit_code) == ("incomplete", 3)
    words = "baseline: Model5 nn departs from the reference run; freeze a new one"
    assert words in judgement.reasons
    both = departing(computed_night(3), "Model5", 0.1)
    assert against(both, with_runs(computed_night(3))).exit_code == 1


def test_two_sides_of_one_reference() -> None:
    """Where both are its computation, and yet apart, neither is at fault: that is open."""
    contents = computed_night(45)
    contents = replace(contents, runs=contents.runs[contents.runs["seed"] >= 40])
    night, before = (
        departing(departing(contents, "Model6", by), "Model6", -by, first_epoch=1)
        for by in (8e-6, -8e-6)
    )
    night = with_runs(night)
    assert judge(Evidence.of(night)).same.passed
    assert judge(Evidence.of(before)).same.passed
    judgement = against(night, before)
    assert (judgement.verdict, judgement.exit_code) == ("inconclusive", 4)
    assert gate(judgement, PAIRED)[0] == "unexplained"
    (reason,) = judgement.reasons
    assert reason.startswith("Model6 cell is further from the baseline's than rounding is known ")


def test_another_start_than_the_baseline_s() -> None:
    """Beyond the reference runs, the baseline knows how a seed starts."""
    before = beyond_the_reference(computed_night(3))
    night = with_runs(beyond_the_reference(computed_night(3, weights="other")))
    night.runs.loc[night.runs["variant"] == "Model4", "initial_weights_sha256"] = "others"
    judgement = against(night, before)
    assert judgement.exit_code == 1
    assert judgement.reasons[0] == (
        "Model4 nn starts from other initial weights than the baseline's run of its seed "
        "(3 of 3 seeds)"
    )


@pytest.mark.parametrize("devices", [("cuda", "cpu"), ("cpu", "cuda")])
def test_an_unmeasured_device_leaves_its_pairs_open(devices: tuple[str, str]) -> None:
    """A departure between a CPU's limit and ten of them is inconclusive, on whichever side."""
    cell = rounding().set_index(CELL).loc[("ones", "Model4", 0, "valid_loss")]
    before = beyond_the_reference(computed_night(1))
    night = departing(before, "Model4", 3 * MARGIN * float(cell["furthest"]))
    ours, theirs = devices
    judgement = against(with_runs(night, device=ours), with_runs(before, device=theirs))
    assert (judgement.exit_code, gate(judgement, PAIRED)[0]) == (4, "unexplained")
