"""What a call of ``bench run`` asks for: profiles, and the grid of runs that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.errors import UsageError
from bench.plan.faults import FAULTS
from bench.plan.grid import BACKENDS, NOTEBOOK, NOTEBOOK_BACKENDS
from bench.store.records import LEARNER, Run
from hnrnn.variants import LARGEST_SEED, VARIANTS, Variant, find_variant


class PlanError(UsageError):
    """A part of the grid that does not exist, with what would be right."""


@dataclass(frozen=True)
class Profile:
    """How much a call does when it is not told.

    A run: seeds from 0, epochs (None for all), backends. Throughput: rounds, and how long a block
    of steps lasts in them.
    """

    description: str
    seeds: int
    rounds: int
    block_seconds: float
    epochs: int | None = None
    backends: tuple[str, ...] = (NOTEBOOK, *NOTEBOOK_BACKENDS)


PROFILES = {
    "smoke": Profile("does everything work?", 2, rounds=2, block_seconds=0.01, epochs=1),
    "quick": Profile("minutes on a CPU", 5, rounds=15, block_seconds=0.2),
    "nightly": Profile("enough for the tests to reject", 200, rounds=40, block_seconds=0.5),
}

RELATIVE_SECONDS = {
    "Model0": 3.4, "Model1": 2.5, "Model2": 2.5, "Model3": 4.3,
    "Model4": 3.7, "Model5": 6.3, "Model6": 3.8, "Model7": 4.3,
}  # fmt: skip
"""About how long the full recipes take beside one another on the notebook's backends (one CPU
thread): only the order of the runs within a seed and the estimate of the time left depend on it."""
RELATIVE_BACKEND_SECONDS = {
    "nn": 1.0, "nn_no_cudnn": 1.0, "cell": 1.1, "custom": 1.2,
    "custom_hoisted": 0.9, "compiled": 2.0, "graphed": 0.3, "graphed_loop": 0.4,
}  # fmt: skip
"""About how long a variant takes on the backends beside one another; for the same use."""


MOST_SEEDS = 100_000
"""Of one call."""
SEEDS_HELP = "give a number of seeds (5), a range (0-4) or a list (1,3,9) of seeds from 0"


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of ``5`` (0 to 4), ``0-4``, ``1,3,9``, or parts of these by commas.

    Raises PlanError for anything else, a negative seed or one above ``LARGEST_SEED``, an empty
    range, more than ``MOST_SEEDS`` seeds, or a seed named twice.
    """
    parts = [part.strip() for part in text.split(",")]
    seeds: list[int] = []
    for part in parts:
        first, dash, last = part.partition("-")
        if not _is_number(first) or (dash and not _is_number(last)):
            raise PlanError(f"--seeds {text}: {part!r} is not a seed or a range: {SEEDS_HELP}")
        if len(parts) == 1 and not dash:
            if len(first) > len(str(LARGEST_SEED)) or int(first) > MOST_SEEDS:
                raise PlanError(_too_many(text))
            start, stop = 0, int(first)
        else:
            start, stop = _seed(text, first), _seed(text, last or first) + 1
        if dash and stop <= start:
            raise PlanError(f"--seeds {text}: the range {part} is empty: {SEEDS_HELP}")
        if len(seeds) + stop - start > MOST_SEEDS:
            raise PlanError(_too_many(text))
        seeds += range(start, stop)
    if not seeds:
        raise PlanError(f"--seeds {text} names no seed: {SEEDS_HELP}")
    if len(set(seeds)) < len(seeds):
        raise PlanError(f"--seeds {text} names a seed twice: name each once")
    return seeds


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _too_many(text: str) -> str:
    return f"--seeds {text} names more than {MOST_SEEDS:,} seeds: name fewer in a call"


def _seed(text: str, digits: str) -> int:
    if len(digits) > len(str(LARGEST_SEED)) or int(digits) > LARGEST_SEED:
        raise PlanError(f"--seeds {text}: a seed is at most {LARGEST_SEED}: {SEEDS_HELP}")
    return int(digits)


def parse_names(words: Sequence[str]) -> list[str]:
    """Return the names in ``words``, each word being one name or several with commas between."""
    names = [name.strip() for word in words for name in word.split(",") if name.strip()]
    return list(dict.fromkeys(names))


def backends_of(variant: Variant, names: Sequence[str]) -> list[str]:
    """Return those backends of ``names`` that execute the variant; ``notebook`` is its own.

    Raises PlanError for a name that is no backend.
    """
    for name in names:
        if name not in (NOTEBOOK, *BACKENDS):
            raise PlanError(
                f"unknown backend {name!r}: choose from {', '.join((NOTEBOOK, *BACKENDS))}"
            )
    meant = dict.fromkeys(variant.backend if name == NOTEBOOK else name for name in names)
    return [name for name in meant if BACKENDS[name].executes(variant)]


def unsupported_configurations(variants: Sequence[str], backends: Sequence[str]) -> list[str]:
    """Return a line for every variant that some of the named backends do not execute.

    Raises PlanError as ``make_plan`` does.
    """
    lines = []
    for variant in _find_variants(variants):
        there = backends_of(variant, backends)
        missing = [name for name in backends if name not in (NOTEBOOK, *there)]
        if missing:
            lines.append(f"{variant.name} has no {', '.join(missing)}: {_offer(variant)}")
    return lines


def _offer(variant: Variant) -> str:
    names = [backend.name for backend in BACKENDS.values() if backend.executes(variant)]
    return f"its backends are {', '.join(names)}"


def _find_variants(names: Sequence[str]) -> list[Variant]:
    try:
        found = [find_variant(name) for name in names]
    except ValueError as error:
        raise PlanError(str(error)) from error
    if not found:
        raise PlanError(f"no variant is named: choose from {', '.join(VARIANTS)}")
    return found


def find_configurations(
    variants: Sequence[str], backends: Sequence[str]
) -> list[tuple[Variant, str]]:
    """Return every named variant with every named backend that executes it.

    Raises PlanError as ``make_plan`` does.
    """
    found = _find_variants(variants)
    if not backends:
        raise PlanError(f"no backend is named: choose from {', '.join((NOTEBOOK, *BACKENDS))}")
    configurations = [
        (variant, backend) for variant in found for backend in backends_of(variant, backends)
    ]
    if not configurations:
        raise PlanError("; ".join(unsupported_configurations(variants, backends)))
    return configurations


def inapplicable(
    configurations: Sequence[tuple[Variant, str]], injected_fault: str | None
) -> list[str]:
    """Return a line for every reason why a fault does not apply to some ``configurations``.

    Raises PlanError for a name that is neither a fault nor a control.
    """
    if injected_fault is None:
        return []
    if injected_fault not in FAULTS:
        raise PlanError(
            f"unknown injected_fault {injected_fault!r}: choose from {', '.join(FAULTS)}"
        )
    reasons = (
        FAULTS[injected_fault].why_inapplicable(*configuration) for configuration in configurations
    )
    lines = (f"{injected_fault} cannot be faulty: {reason}" for reason in reasons if reason)
    return list(dict.fromkeys(lines))


def make_plan(
    *,
    variants: Sequence[str],
    backends: Sequence[str],
    seeds: Sequence[int],
    dtype: str,
    initialisation: str,
    device: str,
    epochs: int | None,
    injected_fault: str | None = None,
    engine: str = LEARNER,
) -> list[Run]:
    """Return every run of the grid: seed by seed, so that a night cut short is balanced.

    Within a seed the longest runs come first, so that no worker is left alone with one at the end.
    Where ``injected_fault``, of ``bench.plan.faults``, does not apply, there is no run. Raises
    PlanError for an unknown variant, backend or injected_fault, and where no named backend executes
    any of the named variants, or ``injected_fault`` applies to none.
    """
    named = find_configurations(variants, backends)
    configurations = [
        configuration
        for configuration in named
        if not inapplicable([configuration], injected_fault)
    ]
    if not configurations:
        raise PlanError("; ".join(inapplicable(named, injected_fault)))
    runs = [
        Run(
            variant=variant.name,
            backend=backend,
            seed=seed,
            dtype=dtype,
            initialisation=initialisation,
            device=device,
            epochs=variant.epochs if epochs is None else min(epochs, variant.epochs),
            injected_fault=injected_fault,
            engine=engine,
        )
        for seed in seeds
        for variant, backend in configurations
    ]
    places = {seed: place for place, seed in enumerate(seeds)}
    return sorted(runs, key=lambda run: (places[run.seed], -expected_cost(run)))


def expected_cost(run: Run) -> float:
    """Return about how long a run takes, in seconds of no particular machine."""
    variant = VARIANTS[run.variant]
    factors = RELATIVE_BACKEND_SECONDS
    return (
        RELATIVE_SECONDS[variant.name]
        * (factors[run.backend] / factors[variant.backend])
        * (run.epochs / variant.epochs)
    )
