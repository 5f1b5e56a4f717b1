"""The one verdict on a night."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench.store.records import ENSEMBLE, FAILED
from bench.store.store import Contents
from reports.pages.verdict_section import confirmation_words
from reports.runs.completeness import notebook_configurations
from reports.runs.night import Night
from reports.verdict.evidence import Evidence
from reports.verdict.findings import Finding
from reports.verdict.judgement import Judgement, judge, published_facts
from tests.made_up import notebook_night as night
from tests.made_up import throughput_rows


def judged(evidence: Evidence) -> Judgement:
    """Return the judgement, whose reasons are never empty."""
    judgement = judge(evidence)
    assert judgement.reasons
    return judgement


def confirmed_by(evidence: Evidence, fresh: Contents) -> Evidence:
    """Return the evidence with runs of fresh seeds."""
    return replace(evidence, confirmation=Night.of(fresh, like=evidence.night))


def on_ensemble(contents: Contents) -> Contents:
    """Return the same runs as the ensemble's, under ids of their own."""
    runs = contents.runs.assign(backend=ENSEMBLE, run_id="e" + contents.runs["run_id"])
    epochs = contents.epochs.assign(backend=ENSEMBLE, run_id="e" + contents.epochs["run_id"])
    return replace(contents, runs=runs, epochs=epochs)


def together(*parts: Contents) -> Contents:
    """Return the runs of several nights in one folder."""
    runs = pd.concat([part.runs for part in parts], ignore_index=True)
    epochs = pd.concat([part.epochs for part in parts], ignore_index=True)
    return replace(parts[0], runs=runs, epochs=epochs)


def test_agrees_with_the_notebook() -> None:
    """A whole night like the notebook, with seeds enough, agrees."""
    judgement = judged(Evidence.of(night()))
    assert (judgement.verdict, judgement.exit_code) == ("agrees", 0)
    assert judgement.configurations == tuple(sorted(notebook_configurations()))
    assert judgement.comparison is None


def test_differs_from_the_notebook() -> None:
    """A variant that differs fails the night; with a finding, runs that nothing else holds do not.

    They are left open, unless the store is older than the hash of initial weights.
    """
    contents = night(moved={"Model4": 2.0})
    judgement = judged(Evidence.of(contents))
    assert (judgement.verdict, judgement.exit_code) == ("differs", 1)
    assert "Model4: 0 of 160 seeds" in judgement.reasons[0]
    assert "no accepted finding says so" in judgement.reasons[0]
    finding = Finding("Model4", 0, 200, "known")
    older = judged(Evidence.of(contents, findings=(finding,)))
    assert (older.verdict, older.exit_code) == ("agrees", 0)
    contents = night(moved={"Model4": 2.0}, start=10_000)
    contents.runs["initial_weights_sha256"] = "0" * 64
    accepted = judged(Evidence.of(contents, findings=(finding,)))
    assert (accepted.verdict, accepted.exit_code) == ("inconclusive", 4)
    (reason,) = accepted.reasons
    assert reason == (
        "Model4 nn: its table differs by an accepted finding, and its runs have neither a "
        "reference nor seeds enough in a baseline, so nothing shows that they are the same "
        "computation"
    )
    beside = judged(Evidence.of(contents, contents, findings=(finding,)))
    assert beside.exit_code == 0, "the baseline holds them"
    worse = night(start=500, moved={"Model4": 2.3})
    unpaired = judged(Evidence.of(worse, contents, findings=(finding,)))
    assert unpaired.exit_code == 4
    assert "Model4 nn: valid_loss is suspected to be worse" in unpaired.reasons[0]
    few = judged(Evidence.of(worse, night(3, start=300), findings=(finding,)))
    assert few.exit_code == 4


def test_a_change_in_a_finding_fails() -> None:
    """A finding that no longer holds is a change, and is told as one."""
    judgement = judged(Evidence.of(night(), findings=(Finding("Model4", 0, 1000, "known"),)))
    assert judgement.verdict == "differs"
    assert "the accepted finding has 0 of 1000" in judgement.reasons[0]


def test_too_few_seeds() -> None:
    """A night of five seeds is inconclusive, and says how many are needed."""
    judgement = judged(Evidence.of(night(5)))
    assert (judgement.verdict, judgement.exit_code) == ("inconclusive", 4)
    assert "159 per model are needed" in judgement.reasons[0]


def test_a_smoke_test_is_no_night() -> None:
    """Runs of one epoch alone say nothing; beside a baseline they leave out everything."""
    contents = night(2)
    short = replace(contents, runs=contents.runs.assign(epochs=1))
    judgement = judged(Evidence.of(short))
    reason = "short runs: no run went through the full recipe: 16 runs of 1 epoch"
    assert (judgement.exit_code, judgement.reasons) == (4, (reason,))
    assert judged(Evidence.of(short, night(20))).exit_code == 3


def test_incomplete() -> None:
    """A failed run, a missing configuration and an unreadable file are each named."""
    contents = night()
    runs = contents.runs[contents.runs["variant"] != "Model6"].copy()
    runs.loc[runs.index[0], ["status", "error"]] = [FAILED, "RuntimeError: injected"]
    broken = replace(contents, runs=runs, unreadable={"runs/x.parquet": "cut short"})
    judgement = judged(Evidence.of(broken))
    assert (judgement.verdict, judgement.exit_code) == ("incomplete", 3)
    kinds = [problem.kind for problem in judgement.problems]
    assert kinds == ["unreadable file", "failed run", "missing configuration"]


def test_baseline_is_the_gate() -> None:
    """With a baseline, a night far from the notebook agrees where it was so before."""
    far = {"Model4": 2.0}
    evidence = Evidence.of(night(60, moved=far), night(60, moved=far))
    assert judged(evidence).verdict == "agrees"
    assert (
        judged(Evidence.of(night(60, start=500, moved=far), night(60, moved=far))).verdict
        == "agrees"
    )


def test_other_weights_alone_are_no_failure() -> None:
    """Other bits with the same values are the same to rounding, and are said to be."""
    judgement = judged(Evidence.of(night(20, hashes="x"), night(20)))
    assert (judgement.verdict, judgement.exit_code) == ("agrees", 0)
    (reason,) = judgement.reasons
    assert reason.startswith("160 runs, all the same to rounding as in the baseline. No mean ")


def test_the_kind_of_the_runs() -> None:
    """What is confirmed has to be trained as the night was; a night without runs has no kind."""
    contents = night(20)
    usual = {"dtype": "float32", "initialisation": "ones", "device": "cpu"}
    assert judged(Evidence.of(contents)).kind == usual
    nothing = replace(contents, runs=contents.runs.iloc[:0], epochs=contents.epochs.iloc[:0])
    assert judged(Evidence.of(nothing)).kind == {}
    faulty = judged(
        Evidence.of(replace(contents, runs=contents.runs.assign(injected_fault="lr_times_3")))
    )
    assert faulty.kind == usual | {"injected_fault": "lr_times_3"}
    assert faulty.reasons == ("injected fault: 160 runs trained with lr_times_3",)


def test_another_dtype_is_no_baseline() -> None:
    """Nor may it confirm anything; beside runs of the night's dtype, it is left out."""
    contents = night(20)
    other = replace(contents, runs=contents.runs.assign(dtype="float64"))
    judgement = judged(Evidence.of(contents, other))
    assert (judgement.verdict, judgement.reasons) == (
        "incomplete",
        ("another kind of run: the baseline has dtype float64, tonight's runs dtype float32",),
    )
    worse = night(60, start=500, moved={"Model5": 0.3})
    fresh = judged(Evidence.of(worse, night(60), other))
    assert "the confirmation has dtype float64" in fresh.reasons[0]
    more = night(40, start=100)
    both = together(contents, replace(more, runs=more.runs.assign(dtype="float64")))
    assert judged(Evidence.of(contents, both)).verdict == "agrees"


def test_a_night_of_the_ensemble_alone() -> None:
    """It covers all eight variants, and is held against the ensemble's runs in a baseline."""
    contents = on_ensemble(night())
    alone = judged(Evidence.of(contents))
    assert (alone.verdict, alone.problems) == ("agrees", ())
    assert {agreement.backend for agreement in alone.notebook.agreements} == {ENSEMBLE}
    against = judged(Evidence.of(contents, contents))
    assert (against.verdict, against.notes) == ("agrees", ())
    assert against.comparison is not None
    assert {d.backend for d in against.comparison.first.differences} == {ENSEMBLE}
    other = judged(Evidence.of(contents, night()))
    assert "missing configuration: Model0 custom has no runs" in other.reasons


def test_the_backend_of_the_most_seeds_is_held_against_the_notebook() -> None:
    """Variant by variant: the ensemble's seeds where they are more, and nothing is missed."""
    ensemble = on_ensemble(night(160))
    runs = ensemble.runs[ensemble.runs["variant"] == "Model2"]
    judgement = judged(Evidence.of(together(night(5), replace(ensemble, runs=runs))))
    assert judgement.problems == ()
    found = {a.variant: (a.backend, a.seeds) for a in judgement.notebook.agreements}
    assert found["Model2"] == (ENSEMBLE, 160)
    assert found["Model5"] == ("nn", 5)


def test_an_ensemble_is_confirmed_by_an_ensemble() -> None:
    """The command trains what is suspected, with as many fresh seeds as it had."""
    worse = on_ensemble(night(60, start=100, moved={"Model5": 0.3}))
    tonight = together(worse, night(5, start=500))
    evidence = Evidence.of(tonight, together(on_ensemble(night(60)), night(5, start=600)))
    judgement = judged(evidence)
    assert judgement.confirmation_seeds == "605-664"
    words = " ".join(confirmation_words(judgement))
    assert "--variants Model5 --backends ensemble --seeds 605-664 " in words
    cleared = judged(confirmed_by(evidence, on_ensemble(night(60, start=1000))))
    assert cleared.confirmation_seeds is None


def test_suspicion_then_confirmation() -> None:
    """What is suspected is inconclusive and says which seeds; confirmed, it is a regression."""
    worse = {"Model5": 0.3}
    evidence = Evidence.of(night(60, start=100, moved=worse), night(60))
    judgement = judged(evidence)
    assert (judgement.verdict, judgement.exit_code) == ("inconclusive", 4)
    assert judgement.confirmation_seeds == "160-219"
    assert all("Model5 nn" in reason for reason in judgement.reasons)
    confirmed = judged(confirmed_by(evidence, night(60, start=200, moved=worse)))
    assert (confirmed.verdict, confirmed.exit_code) == ("regressed", 1)
    assert confirmed.confirmation_seeds is None
    cleared = judged(confirmed_by(evidence, night(60, start=200)))
    assert (cleared.verdict, cleared.exit_code) == ("agrees", 0)


def test_fresh_seeds_below_the_largest() -> None:
    """Where no seed is left above the night's, the fresh ones are those of the first gap."""
    worse = night(60, start=2**32 - 60, moved={"Model5": 0.3})
    assert judged(Evidence.of(worse, night(60))).confirmation_seeds == "60-119"


def test_improvements() -> None:
    """A confirmed improvement is another computation, which fails until it is accepted."""
    # Lower loss and higher accuracy: all measures moved alike would be worse in one.
    better, again = night(60, start=100), night(60, start=200)
    for each in (better, again):
        each.epochs.loc[each.epochs["variant"] == "Model5", "accuracy"] += 0.2
    evidence = Evidence.of(better, night(60))
    suspected = judged(evidence)
    assert (suspected.verdict, suspected.exit_code) == ("inconclusive", 4)
    assert "Model5 nn: accuracy is suspected to be better" in suspected.reasons[0]
    confirmed = judged(confirmed_by(evidence, again))
    assert (confirmed.verdict, confirmed.exit_code) == ("differs", 1)
    assert confirmed.reasons[0].endswith("confirmed on fresh seeds")


@pytest.mark.parametrize(("factor", "verdict"), [(1.5, "regressed"), (1.02, "agrees")])
def test_throughput(factor: float, verdict: str) -> None:
    """A backend that takes half as long again fails the night; two percent do not."""

    def samples(custom: float, seed: int) -> pd.DataFrame:
        rows = throughput_rows({"nn": 2.0, "custom": custom}, rounds=20)
        noise = np.random.default_rng(seed).normal(1, 0.02, len(rows))
        return rows.assign(wall_seconds=rows["wall_seconds"] * noise)

    tonight = night(20, samples=samples(3.0 * factor, 1))
    judgement = judged(Evidence.of(tonight, night(20, samples=samples(3.0, 2))))
    assert judgement.verdict == verdict
    assert ("of the baseline's throughput" in judgement.reasons[0]) == (verdict == "regressed")


def test_published_facts() -> None:
    """The certificate comes from the published seeds; without them there is none."""
    certificate, third_party = published_facts()
    assert certificate is not None
    assert all(agreement.seeds >= 60 for agreement in certificate.agreements)
    assert third_party is not None
    assert sum(row.published.runs for row in third_party.by_variant) == 107


def test_no_published_runs(tmp_path: pytest.TempPathFactory) -> None:
    """An installation without the published runs has no certificate, and says nothing of it."""
    assert published_facts(tmp_path / "nowhere")[0] is None  # type: ignore[operator]


def test_a_backend_that_is_no_longer_timed_is_named() -> None:
    """A night cannot be judged that has timed some backends, and not one that the baseline has."""
    before = night(20, samples=throughput_rows({"nn": 2.0, "custom": 3.0, "compiled": 1.0}))
    tonight = night(20, samples=throughput_rows({"nn": 2.0, "custom": 3.0}))
    judgement = judged(Evidence.of(tonight, baseline=before))
    assert (judgement.verdict, judgement.exit_code) == ("incomplete", 3)
    (why,) = judgement.reasons
    assert why.startswith(
        "missing timing: Model4 compiled has no train_step, forward, validation; time it with "
    )
    untimed = judged(Evidence.of(night(20), baseline=before))
    assert untimed.verdict == "incomplete"
    (why,) = untimed.reasons
    assert why.startswith("missing timing: nothing was timed tonight, and the baseline has 3 ")
