"""What is wrong with a night's records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.store.records import ENSEMBLE, FAILED, SKIPPED, Record
from hnrnn.variants import VARIANTS
from reports.runs.completeness import find_notes, find_problems, notebook_configurations
from reports.runs.night import Night
from tests.made_up import (
    ENVIRONMENT,
    PROVENANCE,
    contents_of,
    made_up_record,
    stored,
    with_outcome,
)

ADVICE = (
    "; train what ran before or, if nothing else is missing, accept the night without it: "
    "`python -m reports baseline accept`"
)


def whole_night(seeds: int = 3) -> list[Record]:
    """Return every variant on its own backend."""
    return [made_up_record(name, seed) for name in VARIANTS for seed in range(seeds)]


def night_of(records: list[Record]) -> Night:
    """Select the records."""
    return Night.of(contents_of(records))


def found(records: list[Record]) -> list[str]:
    """Return the problems of a night as lines."""
    return [str(problem) for problem in find_problems(night_of(records))]


def test_nothing_wrong() -> None:
    """A whole night has no problem."""
    assert found(whole_night()) == []


def test_missing_configuration_and_runs() -> None:
    """A configuration without runs is named, and so are seeds that one configuration lacks."""
    night = [r for r in whole_night(6) if r.run.variant != "Model6"]
    night = [r for r in night if not (r.run.variant == "Model4" and r.run.seed in (1, 2, 5))]
    assert found(night) == [
        "missing runs: Model4 nn lacks seeds 1-2, 5",
        "missing configuration: Model6 cell has no runs",
    ]


def test_only_runs_with_an_injected_fault() -> None:
    """They are no runs of the night, and the message says that there are some."""
    night = [r for r in whole_night() if r.run.variant != "Model6"]
    night += [made_up_record("Model6", seed, injected_fault="lr_times_3") for seed in range(3)]
    assert found(night) == [
        "missing configuration: Model6 cell has only runs with an injected fault"
    ]


def test_expected_configurations() -> None:
    """A configuration of the baseline that has no runs is missing too."""
    (problem,) = find_problems(night_of(whole_night()), {("Model4", "custom")})
    assert str(problem) == f"missing configuration: Model4 custom has no runs{ADVICE}"
    assert problem.configuration == ("Model4", "custom")


def test_what_to_do_about_missing_configurations() -> None:
    """It is said once, and only where a night without them can be accepted."""
    expected = {("Model4", "custom"), ("Model5", "custom"), ("Model6", "cell")}
    night = [record for record in whole_night() if record.run.variant != "Model6"]
    assert [str(problem) for problem in find_problems(night_of(night), expected)] == [
        "missing configuration: Model4 custom has no runs",
        f"missing configuration: Model5 custom has no runs{ADVICE}",
        "missing configuration: Model6 cell has no runs",
    ]
    upgraded = find_problems(night_of(on_ensemble(3)), set(notebook_configurations()))
    assert str(upgraded[-1]).endswith(
        " (an older history has an ensemble's runs under the notebook's backends)"
    )


def test_configurations_of_another_kind_only() -> None:
    """Where all runs of one are of another dtype, the night lacks it, whatever needs it."""
    others = [
        made_up_record(name, seed, dtype="float64", backend=backend)
        for name, backend in (("Model4", "custom"), ("Model6", "cell"))
        for seed in range(3)
    ]
    night = [record for record in whole_night() if record.run.variant != "Model6"]
    words = (
        "has only runs with dtype float64, and the others have dtype float32: train it like them, "
        "or keep its runs in another results folder"
    )
    assert found(night + others) == [
        f"left out: Model4 custom {words}",
        f"missing configuration: Model6 cell {words}",
    ]
    assert found(whole_night() + others[3:]) == [], "it has runs of the night's dtype too"
    float64 = [made_up_record(name, 0, dtype="float64") for name in VARIANTS]
    assert found(float64) == [], "a night of float64 alone"


def test_a_short_run_is_no_run() -> None:
    """Runs that were cut short do not count: their configuration or seeds are missing."""
    night = [record for record in whole_night() if record.run.variant != "Model6"]
    night += [made_up_record("Model6", seed, epochs=1) for seed in range(3)]
    night = [r for r in night if (r.run.variant, r.run.seed) != ("Model4", 2)]
    night.append(made_up_record("Model4", 2, epochs=19))
    assert found(night) == [
        "missing runs: Model4 nn lacks seeds 2",
        "missing configuration: Model6 cell has no run of the full recipe: 3 runs of 1 epoch",
    ]


def test_short_runs_beside_whole_ones_are_no_problem() -> None:
    """A run that was tried for one epoch first and then trained in full is complete."""
    tried = [made_up_record(name, seed, epochs=1) for name in VARIANTS for seed in range(2)]
    assert found(tried + whole_night()) == []


def test_a_smoke_night_is_said_in_one_line() -> None:
    """If no run is complete, that is the only problem reported."""
    tried = [made_up_record(name, seed, epochs=1) for name in VARIANTS for seed in range(2)]
    assert found(tried) == ["short runs: no run went through the full recipe: 16 runs of 1 epoch"]


def test_a_skipped_configuration_is_missing_where_it_is_expected() -> None:
    """A backend that cannot run here is a note, unless the baseline or the notebook has it."""
    night = whole_night()
    on_compiled = replace(made_up_record("Model5", 0).run, backend="compiled")
    skipped = replace(
        with_outcome(made_up_record("Model5", 0), SKIPPED, "compiled needs a C++ compiler"),
        run=on_compiled, run_id="s" * 20, epochs=(),
    )  # fmt: skip
    kept = night_of([*night, skipped])
    assert find_problems(kept) == []
    assert find_notes(kept) == ["Model5 compiled was skipped: compiled needs a C++ compiler."]
    expected = {("Model5", "compiled")}
    assert [str(problem) for problem in find_problems(kept, expected)] == [
        f"missing configuration: Model5 compiled was skipped: compiled needs a C++ compiler{ADVICE}"
    ]
    assert find_notes(kept, expected) == []


def test_more_seeds_of_one_variant_are_no_problem() -> None:
    """Seeds that fewer than half of the configurations have are not missed in the others."""
    more = [made_up_record("Model2", seed) for seed in range(3, 9)]
    assert found(whole_night() + more) == []


def on_ensemble(seeds: int, names: Iterable[str] = VARIANTS) -> list[Record]:
    """Return the ensemble's runs of these variants; other modules train them."""
    other = replace(ENVIRONMENT, source_sha256="e" * 64)
    return [
        made_up_record(name, seed, backend=ENSEMBLE, environment=other)
        for name in names
        for seed in range(seeds)
    ]


def test_the_ensemble_covers_a_variant() -> None:
    """Its runs stand in for the notebook's backend, and only for the same variant."""
    assert found(on_ensemble(3)) == []
    beside = [record for record in whole_night() if record.run.variant != "Model2"]
    assert found(beside + on_ensemble(3, ["Model2"])) == []
    assert found(beside + on_ensemble(3, ["Model3"])) == [
        "missing configuration: Model2 custom has no runs"
    ]


def test_a_variant_that_the_ensemble_lacks() -> None:
    """In a night of the ensemble alone, a variant that it lacks is missing."""
    assert found(on_ensemble(3, [*VARIANTS][:-1])) == [
        "missing configuration: Model7 ensemble has no runs"
    ]


def test_many_seeds_of_the_ensemble() -> None:
    """Few seeds on other backends are complete beside them: each backend is counted by itself."""
    assert found(whole_night(2) + on_ensemble(9)) == []
    cut = [r for r in on_ensemble(9) if (r.run.variant, r.run.seed) != ("Model4", 8)]
    few = [r for r in whole_night(2) if (r.run.variant, r.run.seed) != ("Model0", 1)]
    assert found(few + cut) == [
        "missing runs: Model0 custom lacks seeds 1",
        "missing runs: Model4 ensemble lacks seeds 8",
    ]


def test_failed() -> None:
    """A failed run is named with its error, and is not reported as missing too."""
    night = whole_night()
    night[0] = with_outcome(night[0], FAILED, "RuntimeError: injected")
    assert found(night) == ["failed run: Model0 custom seed 0: RuntimeError: injected"]


def test_unreadable(tmp_path: Path) -> None:
    """A file that cannot be read is named, and so is the run that is missing for it."""
    night = whole_night()
    store = stored(tmp_path, night)
    path = store.path("epochs", night[0].run_id)
    path.write_bytes(path.read_bytes()[:-5])
    lines = [str(problem) for problem in find_problems(Night.of(store.read()))]
    assert len(lines) == 2
    assert lines[0].startswith(f"unreadable file: epochs/{night[0].run_id}.parquet: ")
    assert lines[1] == "missing runs: Model0 custom lacks seeds 0"


@pytest.mark.parametrize(
    ("column", "values"),
    [("torch_version", "2.12.0 (1 run)"), ("device_name", "another (1 run)")],
)
def test_mixed_environment(column: str, values: str) -> None:
    """Runs with other software or on another device are named with their number."""
    changed = replace(ENVIRONMENT, **{column: values.split(" (", maxsplit=1)[0]})
    night = whole_night()
    night[0] = made_up_record("Model0", 0, environment=changed)
    (line,) = found(night)
    assert line.startswith(f"mixed provenance: {column}: ")
    assert values in line
    assert "(23 runs)" in line


def test_mixed_commits_are_a_note() -> None:
    """Runs of several commits, some with changes, are alike as long as the training code is."""
    night = whole_night()
    night[-1] = replace(night[-1], provenance=replace(PROVENANCE, commit="e" * 40, dirty=True))
    mixed = night_of(night)
    assert find_problems(mixed) == []
    assert find_notes(mixed) == [
        "2 commits with equal training code made the runs: ccccccc (23 runs), eeeeeee (1 run)."
    ]
    assert find_notes(night_of(whole_night())) == []


def test_other_kinds_are_not_mixed() -> None:
    """Runs in float64 beside runs in float32 are not a mixture."""
    doubles = [made_up_record(name, seed, dtype="float64") for name in VARIANTS for seed in (0, 1)]
    assert found(whole_night() + doubles) == []


def test_the_ensemble_is_trained_by_other_modules() -> None:
    """The ensemble's own source hash is not a mixture, but two hashes among its runs are."""
    night = whole_night() + on_ensemble(3)
    assert found(night) == []
    third = replace(ENVIRONMENT, source_sha256="a" * 64)
    night[-1] = made_up_record("Model7", 2, backend=ENSEMBLE, environment=third)
    (line,) = found(night)
    assert "source_sha256: " in line
    assert "eeeeeeeeeeee (23 runs)" in line
    assert "aaaaaaaaaaaa (1 run)" in line


def test_repeated_weights() -> None:
    """Seeds that end with equal weights are reported as one seed under several names."""
    night = whole_night(4)
    hashes = ["a", "b", "a", "a"]
    for seed, sha in enumerate(hashes):
        night[seed] = replace(night[seed], outcome=replace(night[seed].outcome, weights_sha256=sha))
    assert found(night) == ["repeated run: Model0 custom: the same weights from seeds 0, 2-3"]


def test_no_runs() -> None:
    """An empty store lacks all eight configurations."""
    assert len(found([])) == 8
    assert len(set(notebook_configurations())) == 8
