"""Made-up nights held against the reference runs of their seeds, one for each outcome."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from bench.store.records import ENSEMBLE
from bench.store.store import Contents
from hnrnn.departures import CELL, FAR, MARGIN
from hnrnn.published import rounding
from reports.runs import departures
from reports.runs.night import Night
from reports.verdict.evidence import Evidence
from reports.verdict.judgement import Judgement, judge
from reports.verdict.same_computation import compare, verdict_of
from tests.computed_nights import computed_night, departing, with_runs

UNRECORDED = (
    "its initial weights are not recorded, so nothing shows that it is the same computation"
)


def judged(contents: Contents) -> Judgement:
    """Return the judgement of a night, by the project's own findings."""
    from reports.verdict.findings import read_findings

    return judge(Evidence.of(contents, findings=tuple(read_findings())))


def gate(judgement: Judgement, name: str = "same computation") -> tuple[str, str]:
    """Return the state of a gate and its reason."""
    return next((g.state, g.reason) for g in judgement.gates if g.name == name)


def limit(variant: str, column: str = "valid_loss", epoch: int = 0) -> float:
    """Return the limit of a single seed in a cell."""
    table = rounding().set_index(CELL)
    return MARGIN * float(table.loc[("ones", variant, epoch, column), "furthest"])


@pytest.mark.parametrize("backend", [None, ENSEMBLE])
def test_a_healthy_quick_night_agrees(backend: str | None) -> None:
    """A few seeds suffice: they compute what the published seeds are the evidence for."""
    contents = computed_night(3)
    if backend:
        contents = replace(
            with_runs(contents, backend=backend),
            epochs=with_runs(contents).epochs.assign(backend=backend),
        )
    judgement = judged(contents)
    assert (judgement.verdict, judgement.exit_code) == ("agrees", 0)
    (reason,) = judgement.reasons
    assert reason.startswith(
        "Tonight, 24 runs of 8 configurations are the same to rounding as fastai 1.0.61's runs of "
        "their seeds. What our 1,520 published runs show holds for them: in 7 of 8 tables the "
    )
    state, reason = gate(judgement)
    assert state == "passed"
    assert "; nearest to its limit is Model" in reason
    assert gate(judgement, "notebook's tables")[0] == "passed"
    assert judgement.by_published


def test_a_fault_fails_with_one_seed() -> None:
    """The first epoch and column are named, and by how far, whatever else the night lacks."""
    contents = departing(computed_night(1), "Model5", 0.02, first_epoch=1)
    judgement = judged(departing(contents, "Model5", 0.3, first_epoch=2, column="train_loss"))
    assert (judgement.verdict, judgement.exit_code) == ("differs", 1)
    state, reason = gate(judgement)
    assert state == "failed"
    assert judgement.reasons == (reason,)
    assert reason.startswith(
        "Model5 nn is another computation than fastai 1.0.61's: first in epoch 1, valid_loss, by "
    )
    assert reason.endswith(" rounding spreads, with 1 of 1 seed beyond the limit")
    assert gate(judgement, "notebook's tables")[0] == "not run"
    lacking = replace(contents, runs=contents.runs[contents.runs["variant"] != "Model6"])
    incomplete = judged(lacking)
    assert incomplete.exit_code == 1
    assert incomplete.reasons[1] == "missing configuration: Model6 cell has no runs"


def test_one_odd_seed_fails_no_night() -> None:
    """A jump of rounding in one seed of five is named and passes; a larger one fails."""
    jump = 2 * limit("Model1")
    judgement = judged(departing(computed_night(5), "Model1", jump, seeds=[3]))
    assert judgement.verdict == "agrees"
    (note,) = judgement.notes
    assert note.startswith("Model1 custom seed 3 alone is further from its reference than ")
    assert (
        "; 1 single run lies further off, as rounding sometimes makes it." in judgement.reasons[0]
    )
    (odd,) = judgement.same.odd
    assert (odd.seed, odd.column) == (3, "valid_loss")
    far = 1.1 * FAR * limit("Model1")
    failed = judged(departing(computed_night(5), "Model1", far, seeds=[3]))
    assert failed.exit_code == 1
    assert failed.reasons[0].endswith("1 of 5 seeds beyond the limit, the furthest 11 times")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"initial_weights_sha256": None}, "8 runs: their initial weights are not recorded"),
        ({"dtype": "float64"}, "8 runs: the reference runs are in float32"),
        ({"seed": 123_456}, "8 runs: no reference run of its seed"),
    ],
)
def test_runs_without_a_reference(values: dict[str, object], reason: str) -> None:
    """They are not held, the gate says why, and few seeds stay inconclusive."""
    contents = with_runs(computed_night(1), **values)
    if "seed" in values:
        contents = replace(contents, epochs=contents.epochs.assign(seed=values["seed"]))
    judgement = judged(contents)
    assert (judgement.verdict, judgement.exit_code) == ("inconclusive", 4)
    state, why = gate(judgement)
    assert state == "not run"
    assert why == reason
    assert not judgement.by_published


def test_a_configuration_without_a_reference() -> None:
    """The others pass, and still the notebook's variant is not shown."""
    contents = computed_night(2)
    model6 = contents.runs["variant"] == "Model6"
    contents.runs.loc[model6, "initial_weights_sha256"] = None
    judgement = judged(contents)
    reason = "Model6 cell: 2 runs: their initial weights are not recorded"
    assert gate(judgement) == ("not run", reason)
    assert (judgement.exit_code, judgement.reasons) == (4, (f"Model6 cell: {UNRECORDED}",))


@pytest.mark.parametrize(("seeds", "count"), [((0, 1, 2), 3), ((2,), 1)])
def test_other_initial_weights(seeds: tuple[int, ...], count: int) -> None:
    """They are another computation, in some seeds or in all, however near the losses are."""
    contents = computed_night(3)
    own = (contents.runs["variant"] == "Model6") & contents.runs["seed"].isin(seeds)
    contents.runs.loc[own, "initial_weights_sha256"] = "others"
    judgement = judged(contents)
    assert (judgement.verdict, judgement.exit_code) == ("differs", 1)
    words = (
        "Model6 cell starts from other initial weights than fastai 1.0.61's run of its seed "
        f"({count} of 3 seeds)"
    )
    assert judgement.reasons == (words,)
    assert gate(judgement) == ("failed", words)


def test_one_run_without_a_hash_decides_nothing() -> None:
    """The gate does not pass, and the published seeds do not decide; a new seed is fine."""
    contents = computed_night(3)
    own = (contents.runs["variant"] == "Model6") & (contents.runs["seed"] == 2)
    unknown = replace(contents, runs=contents.runs.copy())
    unknown.runs.loc[own, "initial_weights_sha256"] = None
    judgement = judged(unknown)
    assert (judgement.exit_code, judgement.by_published) == (4, False)
    reason = "without a reference, 1 run: their initial weights are not recorded"
    assert gate(judgement) == ("not run", reason)
    assert judgement.reasons == (f"Model6 cell: {UNRECORDED}",)
    beside = judge(Evidence.of(unknown, with_runs(contents)))
    assert (beside.exit_code, beside.reasons) == (4, (f"Model6 cell: {UNRECORDED}",))
    last = contents.runs["seed"] == 2
    contents.runs.loc[last, "seed"] = 123_456
    there = contents.epochs["seed"] == 2
    contents.epochs.loc[there, "seed"] = 123_456
    assert judged(contents).exit_code == 0


def test_three_of_five_seeds_are_undecided() -> None:
    """Most seeds beyond the limit of the cell, but fewer than needed, leave a night open."""
    jump = 2 * limit("Model1")
    judgement = judged(departing(computed_night(5), "Model1", jump, seeds=[0, 1, 2]))
    assert (judgement.verdict, gate(judgement)[0]) == ("inconclusive", "unexplained")
    assert judgement.reasons[0].endswith("train more")
    assert judged(departing(computed_night(5), "Model1", jump, seeds=[0, 1])).exit_code == 0


@pytest.mark.parametrize(("seeds", "verdict"), [(1, "unexplained"), (5, "same to rounding")])
def test_our_published_runs_may_have_jumped(seeds: int, verdict: str) -> None:
    """One run that is far from ours is no failure; the same run far from fastai's is one."""
    contents = departing(computed_night(seeds), "Model1", 20 * limit("Model1"), seeds=[0])
    fastai = next(departures.references(contents.runs))
    ours = replace(fastai, name=departures.OURS)
    found = {}
    for reference in (fastai, ours):
        held = departures.hold(contents.runs, contents.epochs, [reference])
        same = verdict_of(held)
        (found[reference.name],) = {
            each.verdict for each in same.departures if each.variant == "Model1"
        }
    assert found == {departures.FASTAI: "another computation", departures.OURS: verdict}


@pytest.mark.parametrize(
    ("times", "verdict", "state"),
    [(0.0, "agrees", "passed"), (3.0, "inconclusive", "unexplained"), (30.0, "differs", "failed")],
)
def test_a_device_that_was_never_measured(times: float, verdict: str, state: str) -> None:
    """On a GPU, a departure beyond a CPU's limit is no failure until it is ten times as far."""
    contents = departing(computed_night(1), "Model4", times * limit("Model4"))
    judgement = judged(with_runs(contents, device="cuda"))
    assert (judgement.verdict, gate(judgement)[0]) == (verdict, state)
    if state == "unexplained":
        assert "than rounding is known to be on a CPU" in judgement.reasons[0]
        assert judgement.reasons[0].endswith("on cuda")


def test_more_seeds_have_to_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single seed beyond its own limit may have jumped: inconclusive, and told as that."""
    cell = {"initialisation": "ones", "variant": "Model4", "epoch": 0, "column": "valid_loss"}
    by_seed = pd.DataFrame([cell | {"seed": 0, "furthest": 1e-7}])
    spread = rounding()
    chosen = (spread[[*cell]] == pd.Series(cell)).all(axis=1)
    spread.loc[chosen, ["jump_rate", "furthest"]] = [0.01, 1e-3]
    monkeypatch.setattr(departures.published, "rounding_by_seed", lambda: by_seed)
    monkeypatch.setattr(departures.published, "rounding", lambda: spread)
    moved = departing(computed_night(1), "Model4", 1e-4)
    judgement = judged(departing(moved, "Model4", -1e-4, first_epoch=1))
    assert (judgement.verdict, gate(judgement)[0]) == ("inconclusive", "unexplained")
    assert "1 seed cannot rule out jumps of rounding; train more" in judgement.reasons[0]


def test_a_smoke_night() -> None:
    """One epoch shows what it shows, and the data are not called complete."""
    judgement = judged(computed_night(2, epochs=1))
    assert (judgement.verdict, judgement.exit_code, judgement.problems) == ("agrees", 0, ())
    assert "As far as 1 epoch can show it, what our 1,520 published runs" in judgement.reasons[0]
    assert gate(judgement, "complete data") == (
        "not run",
        "short runs: no run went through the full recipe: 16 runs of 1 epoch",
    )
    faulty = departing(computed_night(2, epochs=1), "Model2", 0.1)
    assert judged(faulty).exit_code == 1
    some = computed_night(2, epochs=1)
    some = replace(some, runs=some.runs[some.runs["variant"] != "Model3"])
    assert judged(some).exit_code == 4


def test_a_late_fault_is_left_to_the_distribution() -> None:
    """A departure beyond the horizon fails nothing here: chaos reaches as far."""
    late = int(rounding().query("variant == 'Model3'")["epoch"].max())
    assert judged(departing(computed_night(1), "Model3", 0.05, first_epoch=late)).exit_code == 0


def test_uniform_runs_beside_the_others() -> None:
    """Both starts are held; a fault in the uniform runs alone fails, and proves nothing of ones."""
    both = [computed_night(1), computed_night(1, initialisation="uniform")]
    contents = replace(
        both[0],
        runs=pd.concat([part.runs for part in both], ignore_index=True),
        epochs=pd.concat([part.epochs for part in both], ignore_index=True),
    )
    assert judged(contents).same.runs == 16
    fault = contents.epochs["run_id"] == "Model0-0uniform"
    contents.epochs.loc[fault, "valid_loss"] += 0.1
    (other,) = judged(contents).same.others
    assert (other.variant, other.initialisation) == ("Model0", "uniform")
    assert judged(both[1]).exit_code == 4


def test_equal_digits_are_counted() -> None:
    """A run that equals its reference in all digits is so."""
    contents = computed_night(2)
    one = contents.epochs["run_id"] == "Model4-1ones"
    exact = contents.epochs.loc[one, ["train_loss", "valid_loss"]].round(6)
    contents.epochs.loc[one, ["train_loss", "valid_loss"]] = exact
    assert compare(Night.of(contents)).same_digits >= 1


def test_published_runs_are_a_second_reference() -> None:
    """A seed beyond fastai's is held against ours, as such, and no run against itself."""
    runs, epochs = departures.published_set(departures.FOLDER / "cpu")
    chosen = runs.query("initialisation == 'ones' and seed == 100")
    template = computed_night(1)
    rows = template.runs.drop(columns=["run_id", "initial_weights_sha256", "seed"]).merge(
        chosen.drop(columns=["backend", "initialisation"]), on="variant"
    )
    own = epochs[epochs["run_id"].isin(rows["run_id"])].merge(rows[["run_id", "backend"]])
    contents = Contents(
        rows,
        own.assign(train_seconds=0.1, valid_seconds=0.1),
        template.throughput,
        {},
    )
    itself = compare(Night.of(contents))
    assert "cpu" in departures.SETS
    assert itself.same_digits == 0, "held against the ensemble, not against itself"
    other = compare(Night.of(with_runs(contents)))
    assert (other.runs, other.same_digits) == (8, 8)
    assert {found.seeds_of_ours for found in other.departures} == {1}
    contents.runs.loc[contents.runs["variant"] == "Model4", "initial_weights_sha256"] = "others"
    judgement = judged(with_runs(contents))
    assert judgement.exit_code == 1
    assert judgement.reasons[0] == (
        "Model4 nn starts from other initial weights than our published run of its seed "
        "(1 of 1 seed)"
    )
