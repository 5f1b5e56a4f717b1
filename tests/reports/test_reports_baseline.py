"""``python -m reports baseline accept``: an intended change, kept with its reason."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.errors import StoreError
from bench.store.records import DIVERGED, ENSEMBLE
from bench.store.store import Contents, Store
from reports.__main__ import main
from reports.ci import keeping
from reports.runs import frozen
from reports.verdict.acceptance import read_acceptance
from tests.computed_nights import computed_night, departing, with_runs
from tests.made_up import throughput_rows

REASON = "targets start at the first word"


def changed(seeds: int = 3, **options: object) -> Contents:
    """Return a night in which Model4 is another computation, for the better."""
    contents = departing(computed_night(seeds, **options), "Model4", -0.05)  # type: ignore[arg-type]
    return departing(contents, "Model4", 0.01, column="accuracy")


def store(folder: Path, contents: Contents, day: int = 0) -> str:
    """Store a night of a later day; return its folder."""
    times = {
        name: contents.runs[name] + pd.Timedelta(days=day) for name in ("started_at", "ended_at")
    }
    Store(folder).write_contents(replace(contents, runs=contents.runs.assign(**times)))
    return str(folder)


class Nights:
    """Nights in a folder, checked against a baseline and accepted."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        self.baseline = folder / "nights" / "baseline"
        self.day = 0

    def train(self, contents: Contents) -> str:
        """Store a night of the next day; return its folder."""
        self.day += 1
        return store(self.folder / f"night{self.day}", contents, self.day)

    def call(self, *words: str) -> tuple[int, str]:
        """Return the exit code of a command, and what it printed."""
        code = main([*words])
        return code, "".join(self.capsys.readouterr())

    def check(self, results: str, *words: str) -> tuple[int, str]:
        """Check a night against the baseline."""
        return self.call("check", "--results", results, "--baseline", str(self.baseline), *words)

    def accept(self, results: str, reason: str = REASON) -> tuple[int, str]:
        """Accept a night."""
        words = ("--results", results, "--baseline", str(self.baseline), "--reason", reason)
        return self.call("baseline", "accept", *words)

    def freeze(self, contents: Contents) -> None:
        """Freeze a night, with a manifest, as ``reports.ci judge`` does."""
        words = ("--results", self.train(contents), "--output", str(self.baseline))
        assert self.call("baseline", "freeze", *words)[0] == 0
        frozen.complete(self.baseline, throughput=False)


@pytest.fixture
def nights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Nights:
    """Return a folder without any night."""
    return Nights(tmp_path, capsys)


def test_an_intended_change_is_accepted(nights: Nights) -> None:
    """It fails until it is accepted; then it agrees, and the report says what for."""
    nights.freeze(computed_night(3))
    results = nights.train(changed())
    code, output = nights.check(results)
    assert code == 1
    assert "Model4 nn is another computation than fastai 1.0.61's" in output
    assert "Model4 nn is another computation than the baseline's" in output
    asked = next(line for line in output.splitlines() if "baseline accept" in line)
    words = shlex.split(asked)[3:]
    code, output = nights.call(*(REASON if word == "TEXT" else word for word in words))
    assert (code, output.splitlines()) == (
        0,
        [
            "departs from the reference runs: Model4 nn",
            "departs from the baseline before: Model4 nn",
            f"{nights.baseline} accepted: {REASON}",
        ],
    )
    content = json.loads((nights.baseline / "accepted.json").read_text())
    assert (content["reason"], content["from_reference"]) == (REASON, ["Model4 nn"])
    assert content["commit"] == "c" * 40
    assert [path.name for path in nights.baseline.parent.iterdir()] == ["baseline"]

    again = nights.train(with_runs(changed(weights="other", draw=1), commit="d" * 40))
    code, output = nights.check(again)
    assert code == 0, output
    assert f"accepted: {REASON} (Model4 nn)" in output
    assert "21 runs of 7 configurations are the same to rounding as fastai 1.0.61's" in output
    text = (Path(again) / "report" / "verdict.md").read_text()
    assert f"Accepted: {REASON} (Model4 nn)." in text


def test_what_is_accepted_is_held_to_the_baseline(nights: Nights) -> None:
    """A further change of it fails, and so does that of another configuration."""
    nights.accept(nights.train(changed()))
    code, output = nights.check(nights.train(departing(with_runs(changed()), "Model4", -0.05)))
    assert code == 1
    assert "Model4 nn is another computation than the baseline's" in output
    assert "than fastai 1.0.61's" not in output
    code, output = nights.check(nights.train(departing(with_runs(changed()), "Model5", 0.05)))
    assert code == 1
    assert "Model5 nn is another computation than fastai 1.0.61's" in output


def test_another_start_of_the_batchnorm_weights_is_covered(nights: Nights) -> None:
    """An accepted night of the uniform start has passed its gate, by its pairs."""
    uniform = departing(computed_night(3, initialisation="uniform"), "Model4", -0.05)
    nights.accept(nights.train(uniform))
    code, output = nights.check(nights.train(with_runs(uniform, commit="d" * 40)))
    assert code == 0, output
    assert f"accepted: {REASON} (Model4 nn uniform)" in output


def test_what_goes_back_to_the_reference_is_said(nights: Nights) -> None:
    """It departs from the baseline, which fails, and the note says that it is the reference's."""
    nights.accept(nights.train(changed()))
    code, output = nights.check(nights.train(with_runs(computed_night(3))))
    assert code == 1
    assert "Model4 nn is another computation than the baseline's" in output
    assert (
        f"Model4 nn was accepted as another computation than the reference ({REASON}), and "
        "computes what the reference does again."
    ) in output


def test_what_is_accepted_and_has_no_pair_is_open(nights: Nights) -> None:
    """On other seeds nothing holds it, and the gate says so."""
    nights.accept(nights.train(changed(2)))
    contents = changed(5)
    kept = contents.runs["seed"] >= 2
    code, output = nights.check(nights.train(replace(contents, runs=contents.runs[kept])))
    assert code == 4, output
    assert (
        "same computation: unexplained, Model4 nn: its departure is accepted, and the baseline has "
        "no runs of seeds 2-4: train the baseline's seeds"
    ) in output


def test_every_accepted_run_needs_a_pair(nights: Nights) -> None:
    """One pair covers no other seed: these are the reference's, or they are open."""
    nights.accept(nights.train(changed(2)))
    code, output = nights.check(nights.train(with_runs(changed(5))))
    assert code == 4, output
    assert "Model4 nn: its departure is accepted, and the baseline has no runs of seeds 2-4" in (
        output
    )
    contents = changed(5)
    healthy = computed_night(5)
    back = contents.epochs["seed"] >= 2
    contents.epochs.loc[back] = healthy.epochs.loc[back]
    code, output = nights.check(nights.train(with_runs(contents)))
    assert code == 0, output
    assert f"accepted: {REASON} (Model4 nn)" in output


def test_fresh_seeds_beside_accepted_pairs(nights: Nights) -> None:
    """Seeds that nobody has trained before leave no night open while others are paired."""
    nights.accept(nights.train(changed()))
    again, fresh = with_runs(changed()), with_runs(with_runs(changed()))
    for rows in (fresh.runs, fresh.epochs):
        rows["seed"] += 1_000_000
    both = replace(
        again,
        runs=pd.concat([again.runs, fresh.runs.assign(weights_sha256=fresh.runs["run_id"])]),
        epochs=pd.concat([again.epochs, fresh.epochs]),
    )
    code, output = nights.check(nights.train(both))
    assert code == 0, output
    assert f"accepted: {REASON} (Model4 nn)" in output
    code, output = nights.check(nights.train(fresh))
    assert code == 4, output
    assert "the baseline has no runs of seeds 1000000-1000002" in output


def test_acceptance_covers_no_other_start(nights: Nights) -> None:
    """The baseline knows how its seeds start, whatever else was accepted in them."""
    nights.accept(nights.train(changed()))
    contents = departing(with_runs(changed(weights="other")), "Model4", -0.1)
    contents.runs.loc[contents.runs["variant"] == "Model4", "initial_weights_sha256"] = "others"
    code, output = nights.check(nights.train(contents))
    assert code == 1, output
    assert (
        "Model4 nn starts from other initial weights than the baseline's run of its seed "
        "(3 of 3 seeds)"
    ) in output


def test_an_accepted_start_that_is_not_recorded(nights: Nights) -> None:
    """Nothing pairs such runs, in a night of an older version too."""
    nights.accept(nights.train(changed()))
    contents = with_runs(changed(weights="other"), initial_weights_sha256=None)
    code, output = nights.check(nights.train(contents))
    assert code == 4, output
    assert "\n  Model4 nn: its initial weights are not recorded, so nothing shows " in output


def test_an_accepted_seed_that_diverges(nights: Nights) -> None:
    """The same night again is the same, with a loss that is no number."""
    contents = changed()
    last = contents.epochs.query("variant == 'Model4' and seed == 1").index[-1]
    contents.epochs.loc[last, "valid_loss"] = float("nan")
    own = (contents.runs["variant"] == "Model4") & (contents.runs["seed"] == 1)
    contents.runs.loc[own, "status"] = DIVERGED
    assert nights.accept(nights.train(contents))[0] == 0
    code, output = nights.check(nights.train(with_runs(contents)))
    assert code == 0, output


def test_all_that_is_accepted_is_said(nights: Nights) -> None:
    """Means that differ, slower backends, and what is lost are printed first, and kept."""
    timed = throughput_rows({"nn": 2.0, "cell": 3.0}, rounds=20)
    before = replace(computed_night(20), throughput=timed)
    extra = before.runs["variant"] == "Model5"
    runs = before.runs[extra].assign(backend="cell", run_id="c" + before.runs["run_id"])
    own = before.epochs[before.epochs["variant"] == "Model5"]
    more = own.assign(backend="cell", run_id="c" + own["run_id"])
    nights.freeze(
        replace(
            before,
            runs=pd.concat([before.runs, runs], ignore_index=True),
            epochs=pd.concat([before.epochs, more], ignore_index=True),
        )
    )
    slow = throughput_rows({"nn": 2.0, "cell": 9.0}, rounds=20, measurement_id="other")
    worse = departing(computed_night(15), "Model4", -0.1, column="accuracy")
    code, output = nights.accept(nights.train(replace(worse, throughput=slow)))
    assert code == 0, output
    lines = output.splitlines()
    assert lines[-1] == f"{nights.baseline} accepted: {REASON}"
    kept = json.loads((nights.baseline / "accepted.json").read_text())["changes"]
    assert lines[2:-1] == kept
    text = "\n".join(kept)
    assert "Model4 nn: accuracy is worse, 0." in text
    assert "Model4 cell: train_step at 0.33 of the baseline's throughput" in text
    assert "no longer there: every run of Model5 cell" in kept
    assert "no longer there: seeds 15-19 of Model0 custom, Model1 custom, Model2 custom" in text
    assert read_acceptance(nights.baseline).changes == tuple(kept)  # type: ignore[union-attr]


def test_what_departs_is_not_frozen(nights: Nights) -> None:
    """A baseline that departs is accepted, with its reason, or it is none."""
    words = ("--results", nights.train(changed()), "--output", str(nights.baseline))
    code, output = nights.call("baseline", "freeze", *words)
    assert code == 2
    assert (
        "departs from the reference runs of its seeds (Model4 nn): if the change is intended, use "
        "`python -m reports baseline accept`"
    ) in output
    assert not nights.baseline.exists()


def test_other_initial_weights_are_accepted(nights: Nights) -> None:
    """An intended change of the start is a departure like others."""
    contents = changed()
    contents.runs.loc[contents.runs["variant"] == "Model6", "initial_weights_sha256"] = "others"
    results = nights.train(contents)
    assert nights.accept(results)[1].splitlines()[0].endswith(": Model4 nn, Model6 cell")
    code, output = nights.check(nights.train(with_runs(contents)))
    assert code == 0, output
    assert f"accepted: {REASON} (Model4 nn, Model6 cell)" in output


def test_a_night_in_which_everything_is_accepted(nights: Nights) -> None:
    """Nothing is the reference's any more, and all of it is the baseline's."""
    contents = computed_night(3)
    contents = replace(contents, epochs=contents.epochs.assign(valid_loss=1.0))
    nights.accept(nights.train(contents))
    code, output = nights.check(nights.train(with_runs(contents)))
    assert code == 0, output
    assert f"same computation: passed, accepted: {REASON} (Model0 custom, Model1 custom, " in output


def test_the_manifest_holds_the_reason(nights: Nights, tmp_path: Path) -> None:
    """A reason that is changed by hand is no whole baseline; a whole one is kept with it."""
    nights.accept(nights.train(changed()))
    assert frozen.ACCEPTED in frozen.examine(nights.baseline).files
    kept = tmp_path / "kept"
    kept.mkdir()
    assert keeping._add_baseline(nights.baseline.parent, kept, freeze=False) == []
    assert read_acceptance(kept / "baseline") == read_acceptance(nights.baseline)
    path = nights.baseline / frozen.ACCEPTED
    path.write_text(path.read_text().replace("targets", "tragets"))
    with pytest.raises(frozen.NotWholeError):
        frozen.examine(nights.baseline)


def test_an_accepted_baseline_forgets_the_nights_before(nights: Nights) -> None:
    """An ensemble's night is missing what ran before it; accepted, later ones are not."""
    history = ("--history", str(nights.folder / "history"))
    nights.freeze(computed_night(3))
    assert nights.check(nights.train(with_runs(computed_night(3))), *history)[0] == 0
    night = with_runs(computed_night(3), backend=ENSEMBLE)
    night = replace(night, epochs=night.epochs.assign(backend=ENSEMBLE))
    results = nights.train(night)
    code, output = nights.check(results, *history)
    assert code == 3
    assert (
        "missing configuration: Model7 custom has no runs; train what ran before, or accept the "
        "night without it: `python -m reports baseline accept` (an older history has an "
        "ensemble's runs under the notebook's backends)\n"
    ) in output
    assert nights.accept(results, "one batched computation")[0] == 0
    for _ in range(2):
        code, output = nights.check(nights.train(with_runs(night)), *history)
        assert code == 0, output


@pytest.mark.parametrize(
    ("reason", "contents", "why"),
    [
        (" \n", changed(), "--reason is empty: say why the change is intended"),
        (REASON, replace(changed(), runs=changed().runs.iloc[3:]), "missing configuration: Model0"),
        (
            REASON,
            with_runs(changed(), injected_fault="lr_times_3"),
            "injected fault: 24 runs trained with lr_times_3",
        ),
    ],
    ids="reason incomplete fault".split(),
)
def test_what_is_not_accepted(nights: Nights, reason: str, contents: Contents, why: str) -> None:
    """No reason, or a night that could not be frozen: nothing is changed."""
    nights.freeze(computed_night(3))
    before = frozen.examine(nights.baseline)
    code, output = nights.accept(nights.train(contents), reason)
    assert code == 2
    assert why in output
    assert frozen.examine(nights.baseline) == before


def test_only_a_baseline_is_replaced(nights: Nights) -> None:
    """A folder with anything else in it stays, and so does a baseline that was timed."""
    nights.baseline.mkdir(parents=True)
    (nights.baseline / "thesis.tex").write_text("years of work")
    results = nights.train(changed())
    code, output = nights.accept(results)
    assert (code, "because it holds thesis.tex" in output) == (2, True)
    (nights.baseline / "thesis.tex").unlink()
    timed = replace(computed_night(3), throughput=throughput_rows({"nn": 2.0}))
    nights.freeze(timed)
    code, output = nights.accept(results)
    assert (code, f"{results} was not timed, unlike " in output) == (2, True)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"from_reference": 1, "from_baseline": []}'])
def test_a_reason_that_cannot_be_read(text: str, tmp_path: Path) -> None:
    """It is an error, since the night would fail without it; none is none."""
    assert read_acceptance(tmp_path) is None
    (tmp_path / frozen.ACCEPTED).write_text(text)
    with pytest.raises(StoreError, match="accept the baseline again"):
        read_acceptance(tmp_path)
