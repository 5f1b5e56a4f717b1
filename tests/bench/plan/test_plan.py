"""What a call of ``bench run`` asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.plan.costs import ON_GPU_ONLY, SECONDS, expected_cost
from bench.plan.grid import BACKENDS
from bench.plan.plan import (
    find_configurations,
    inapplicable,
    make_plan,
    parse_names,
    parse_seeds,
    unsupported_configurations,
)
from bench.store.records import Run
from hnrnn.variants import VARIANTS


def plan(**changes: object) -> list[Run]:
    """Return the plan of a small grid with some of its arguments changed."""
    arguments: dict[str, object] = {
        "variants": ["Model0", "Model5"],
        "backends": ["notebook"],
        "seeds": [0, 1],
        "dtype": "float32",
        "initialisation": "ones",
        "device": "cpu",
        "epochs": None,
    }
    return make_plan(**(arguments | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("5", [0, 1, 2, 3, 4]),
        ("0-4", [0, 1, 2, 3, 4]),
        ("3-3", [3]),
        ("1,3,9", [1, 3, 9]),
        ("0-2, 7", [0, 1, 2, 7]),
    ],
)
def test_parse_seeds(text: str, seeds: list[int]) -> None:
    """A number, a range, a list and a mixture are understood."""
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "0", "-1", "4-2", "1,,2", "a", "1-", "-3-5", "1.5", "٣x"])
def test_parse_seeds_errors(text: str) -> None:
    """What names no seeds is one line that says what would."""
    with pytest.raises(UsageError, match=r"give a number of seeds \(5\), a range") as caught:
        parse_seeds(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["1,4294967296", "0-99999999999", "7,1-" + "9" * 20])
def test_parse_seeds_too_large(text: str) -> None:
    """A seed that torch would take for another one is refused, before any list is made."""
    with pytest.raises(UsageError, match=r"a seed is from 0 to 4294967295|more than 100,000 seeds"):
        parse_seeds(text)
    assert parse_seeds("4294967295,0") == [4294967295, 0]


@pytest.mark.parametrize("text", ["100001", "4294967296", "9" * 5000])
def test_too_many_seeds_are_told_as_too_many(text: str) -> None:
    """A single number counts seeds: what is wrong with a large one is the count."""
    with pytest.raises(UsageError, match="names more than 100,000 seeds"):
        parse_seeds(text)


@pytest.mark.parametrize("text", ["100001", "5-100005", "1-60000,60001-100002"])
def test_parse_too_many_seeds(text: str) -> None:
    """So many in a call would be a mistake."""
    with pytest.raises(UsageError, match="more than 100,000 seeds"):
        parse_seeds(text)


def test_parse_seeds_twice() -> None:
    """A seed that is named twice is a slip."""
    with pytest.raises(UsageError, match="names a seed twice"):
        parse_seeds("1-3,2")


@given(st.lists(st.integers(0, 500), min_size=2, max_size=20, unique=True))
def test_parse_seeds_lists(seeds: list[int]) -> None:
    """Any list of two or more different seeds is read as it stands."""
    assert parse_seeds(",".join(map(str, seeds))) == seeds


def test_parse_names() -> None:
    """Spaces and commas both separate, and a name counts once."""
    assert parse_names(["Model0,Model5", "Model0", " Model6 ,"]) == ["Model0", "Model5", "Model6"]


def test_plan_is_balanced_by_seed() -> None:
    """All variants of a seed come before the next seed, the longest first."""
    runs = plan(seeds=[4, 1])
    assert [(run.variant, run.seed) for run in runs] == [
        ("Model5", 4), ("Model0", 4), ("Model5", 1), ("Model0", 1),
    ]  # fmt: skip
    assert [run.backend for run in runs[:2]] == ["nn", "custom"]
    assert {run.epochs for run in runs} == {6, 10}


def test_plan_can_stop_early() -> None:
    """A profile's epochs bound every variant's own."""
    assert {run.epochs for run in plan(epochs=1)} == {1}
    assert {run.epochs for run in plan(epochs=8)} == {6, 8}
    assert expected_cost(plan(epochs=1)[0]) < expected_cost(plan()[0])


def test_backends_are_a_dimension() -> None:
    """Every named backend is run on every variant that it executes, and each configuration once."""
    runs = plan(variants=["Model0", "Model6"], backends=["notebook", "nn", "cell"], seeds=[0])
    assert {(run.variant, run.backend) for run in runs} == {
        ("Model0", "custom"),
        ("Model6", "cell"),
        ("Model6", "nn"),
    }
    assert len(runs) == 3


def test_empty_configurations_are_named() -> None:
    """A backend that does not execute a variant is named, with what it needs."""
    names = ["Model0", "Model6", "Model1"]
    assert unsupported_configurations(names, ["notebook", "nn", "custom", "ensemble"]) == [
        "Model0, Model1 on nn: nn needs a recurrent model (Model4 to Model7)"
    ]


def test_injected_fault_is_in_every_run() -> None:
    """What is injected is injected in every run that it applies to, and there are no others."""
    assert {run.injected_fault for run in plan()} == {None}
    assert {(run.variant, run.injected_fault) for run in plan(injected_fault="lr_times_3")} == {
        ("Model0", "lr_times_3"),
        ("Model5", "lr_times_3"),
    }
    assert {(run.variant, run.injected_fault) for run in plan(injected_fault="bptt_70")} == {
        ("Model5", "bptt_70")
    }


def test_inapplicable_configurations_are_named() -> None:
    """Each reason why an injected fault does not apply is given once; without a fault, none."""
    backends = ["notebook", "nn", "graphed", "ensemble"]
    configurations = find_configurations(["Model0", "Model5"], backends)
    assert inapplicable(configurations, "state_reset") == [
        "Model0 keeps no hidden state",
        "graphed captures the training step that it would change",
        "ensemble has a training loop of its own",
    ]
    assert inapplicable(configurations, None) == []


def test_cost_depends_on_the_backend() -> None:
    """A variant costs on its own backend what the table says, and on a slower one more."""
    own, slower = plan(variants=["Model5"], backends=["nn", "custom"], seeds=[0])
    assert {own.backend, slower.backend} == {"nn", "custom"}
    costs = {run.backend: expected_cost(run) for run in (own, slower)}
    assert costs["custom"] > costs["nn"] == SECONDS["nn"][5]
    assert SECONDS.keys() | ON_GPU_ONLY.keys() == BACKENDS.keys()
    assert all(expected_cost(run) > 0 for run in plan(variants=VARIANTS, backends=BACKENDS))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": ["Model8"]}, "unknown variant 'Model8': choose from Model0"),
        ({"variants": []}, "no variant is named: choose from Model0"),
        (
            {"backends": ["cuda"]},
            "unknown backend 'cuda': choose from notebook, nn, nn_no_cudnn, cell",
        ),
        ({"backends": []}, "no backend is named: choose from notebook, nn"),
        (
            {"variants": ["Model0"], "backends": ["nn", "cell"]},
            "nothing to run: Model0 on nn: nn needs a recurrent model",
        ),
        ({"injected_fault": "lr"}, "unknown injected fault 'lr': choose from lr_times_3"),
        (
            {"variants": ["Model0"], "injected_fault": "bptt_70"},
            "bptt_70 applies to none of the runs: Model0 has bptt 3, not 20",
        ),
        (
            {"backends": ["ensemble"], "injected_fault": "same_seed"},
            "same_seed applies to none of the runs: ensemble has a training loop of its own",
        ),
        ({"dtype": "float16"}, "unknown dtype 'float16': choose from float32, float64"),
        ({"initialisation": "zeros"}, "unknown initialisation 'zeros': choose from ones, uniform"),
        ({"device": "tpu"}, "unknown device 'tpu': choose from auto, cpu, cuda"),
        ({"epochs": 0}, "epochs must be 1 or more, not 0"),
        ({"seeds": []}, "seeds names no seed"),
        ({"seeds": 0}, "seeds names no seed"),
        ({"seeds": [1, 2, 1]}, "seeds names a seed twice"),
        ({"seeds": [-1]}, "seeds: a seed is from 0 to 4294967295"),
    ],
)
def test_errors(changes: dict[str, object], message: str) -> None:
    """A part of the grid that does not exist is named with what would be right."""
    with pytest.raises(UsageError, match=message):
        plan(**changes)


def test_an_ensemble_is_one_more_backend() -> None:
    """It has the runs that every other backend has, and costs less; a fault leaves it out."""
    runs = plan(variants=["Model5"], backends=["notebook", "ensemble"], seeds=3)
    assert [(run.seed, run.backend) for run in runs] == [
        (seed, backend) for seed in range(3) for backend in ("nn", "ensemble")
    ]
    faulty = plan(backends=["notebook", "ensemble"], injected_fault="lr_times_3")
    assert {run.backend for run in faulty} == {"custom", "nn"}
