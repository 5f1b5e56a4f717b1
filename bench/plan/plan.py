"""The runs that are asked for: seeds, and the grid of variants and backends."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Any

from bench.errors import UsageError
from bench.plan.costs import expected_cost
from bench.plan.faults import FAULTS
from bench.plan.grid import BACKENDS, NOTEBOOK
from bench.store.records import Run
from hnrnn.arguments import DEVICES
from hnrnn.variants import LARGEST_SEED, VARIANTS, Variant

MOST_SEEDS = 100_000
MOST_JOBS = 1024
SEEDS_HELP = "give a number of seeds (5), a range (0-4) or a list (1,3,9) of seeds from 0"
CHOICES = {
    "dtype": ("float32", "float64"),
    "initialisation": ("ones", "uniform"),
    "device": DEVICES,
}


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of ``5`` (0 to 4), ``0-4``, ``1,3,9``, or parts of these by commas.

    Raises UsageError for anything else, for an empty range, and as ``find_seeds`` does.
    """
    parts = [part.strip() for part in text.split(",")]
    ranges = []
    for part in parts:
        match = re.fullmatch("([0-9]+)(?:-([0-9]+))?", part)
        if not match:
            raise UsageError(f"--seeds {text}: {part!r} is not a seed or a range: {SEEDS_HELP}")
        first, last = match.groups()
        if last is None and len(parts) == 1:
            return find_seeds(_number(first), f"--seeds {text}")
        ranges.append(range(_number(first), _number(last or first) + 1))
        if not ranges[-1]:
            raise UsageError(f"--seeds {text}: the range {part} is empty: {SEEDS_HELP}")
    return find_seeds(chain.from_iterable(ranges), f"--seeds {text}")


def find_seeds(seeds: int | Iterable[int], source: str = "seeds") -> list[int]:
    """Return a list of ``seeds``; a single number is a number of seeds from 0.

    Raises UsageError, naming ``source``, for what is no whole number, no seed, a seed below 0 or
    above ``LARGEST_SEED``, more than ``MOST_SEEDS`` seeds, or a seed that is named twice.
    """
    no_list = isinstance(seeds, bytes | bytearray) or not isinstance(seeds, Iterable)
    try:
        named: Any = range(_whole(seeds)) if no_list else seeds
        found = [_whole(seed) for seed in islice(named, MOST_SEEDS + 1)]
    except TypeError as error:
        raise UsageError(
            f"{source} must be a number of seeds or whole numbers, not {seeds!r}"
        ) from error
    if not found:
        raise UsageError(f"{source} names no seed: {SEEDS_HELP}")
    if not 0 <= min(found) <= max(found) <= LARGEST_SEED:
        raise UsageError(f"{source}: a seed is from 0 to {LARGEST_SEED}: {SEEDS_HELP}")
    if len(found) > MOST_SEEDS:
        raise UsageError(f"{source} names more than {MOST_SEEDS:,} seeds: name fewer in a call")
    if len(set(found)) < len(found):
        raise UsageError(f"{source} names a seed twice: name each once")
    return found


def whole_number(name: str, value: int, most: int | None = None) -> int:
    """Return a number as an int; raise UsageError unless it is whole and from 1 to ``most``."""
    try:
        number = _whole(value)
    except TypeError as error:
        raise UsageError(f"{name} must be a whole number, not {value!r}") from error
    if number < 1:
        raise UsageError(f"{name} must be 1 or more, not {number}")
    if most is not None and number > most:
        raise UsageError(f"{name} must be {most:,} or less, not {number:,}")
    return number


def _whole(value: Any) -> int:
    """Return a number as an int; raise TypeError unless it is whole, and for True and False."""
    if isinstance(value, bool):
        raise TypeError(value)
    return operator.index(value)


def _number(digits: str) -> int:
    """Return the number; one with too many digits becomes another that is too large."""
    return int(digits.lstrip("0")[: len(str(LARGEST_SEED)) + 1] or "0")


def parse_names(words: Sequence[str]) -> list[str]:
    """Return the names in ``words``; a word may be several names with commas between them."""
    names = [name.strip() for word in words for name in word.split(",") if name.strip()]
    return list(dict.fromkeys(names))


def _listed(name: str, words: Iterable[str]) -> tuple[str, ...]:
    if isinstance(words, str) or not isinstance(words, Iterable):
        raise UsageError(f"{name} must be a list of names, not {words!r}")
    return tuple(words)


def backends_of(variant: Variant, names: Sequence[str]) -> list[str]:
    """Return the backends of ``names`` that execute the variant; raise UsageError for others."""
    for name in names:
        _check_choice("backend", name, (NOTEBOOK, *BACKENDS))
    meant = dict.fromkeys(variant.backend if name == NOTEBOOK else name for name in names)
    return [name for name in meant if BACKENDS[name].executes(variant)]


def unsupported_configurations(variants: Sequence[str], backends: Sequence[str]) -> list[str]:
    """Return a line per backend that lacks a variant; raise UsageError for an unknown variant."""
    found = _find_variants(variants)
    lines = []
    for backend in (BACKENDS[name] for name in backends if name in BACKENDS):
        missing = [variant.name for variant in found if not backend.executes(variant)]
        if missing:
            lines.append(f"{', '.join(missing)} on {backend.name}: {backend.needs}")
    return lines


def _find_variants(names: Sequence[str]) -> list[Variant]:
    if not names:
        raise UsageError(f"no variant is named: choose from {', '.join(VARIANTS)}")
    for name in names:
        _check_choice("variant", name, VARIANTS)
    return [VARIANTS[name] for name in names]


def find_configurations(
    variants: Sequence[str], backends: Sequence[str]
) -> list[tuple[Variant, str]]:
    """Return every named variant with every named backend that executes it.

    Raises UsageError for an unknown name, and if nothing is left.
    """
    found = _find_variants(variants)
    if not backends:
        raise UsageError(f"no backend is named: choose from {', '.join((NOTEBOOK, *BACKENDS))}")
    configurations = [
        (variant, backend) for variant in found for backend in backends_of(variant, backends)
    ]
    if not configurations:
        reasons = "; ".join(unsupported_configurations(variants, backends))
        raise UsageError(f"nothing to run: {reasons}")
    return configurations


def inapplicable(
    configurations: Sequence[tuple[Variant, str]], injected_fault: str | None
) -> list[str]:
    """Return each reason why a fault does not apply; raise UsageError for an unknown fault."""
    if injected_fault is None:
        return []
    _check_choice("injected fault", injected_fault, FAULTS)
    fault = FAULTS[injected_fault]
    reasons = (fault.why_inapplicable(*configuration) for configuration in configurations)
    return list(dict.fromkeys(reason for reason in reasons if reason))


def _check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        raise UsageError(f"unknown {name} {value!r}: choose from {', '.join(choices)}")


def make_plan(
    *,
    variants: Iterable[str],
    backends: Iterable[str],
    seeds: int | Iterable[int],
    dtype: str,
    initialisation: str,
    device: str,
    epochs: int | None,
    injected_fault: str | None = None,
) -> list[Run]:
    """Return every run of the grid, seed by seed, so that a night cut short is balanced.

    Within a seed the longest runs come first, so that no worker has a long one left at the end.
    Raises UsageError for an unknown name or value, for seeds that ``find_seeds`` refuses, and if no
    run is left, because the backend or ``injected_fault`` applies to no variant.
    """
    given = {"dtype": dtype, "initialisation": initialisation, "device": device}
    for name, value in given.items():
        _check_choice(name, value, CHOICES[name])
    if epochs is not None:
        epochs = whole_number("epochs", epochs)
    named = find_configurations(_listed("variants", variants), _listed("backends", backends))
    configurations = [each for each in named if not inapplicable([each], injected_fault)]
    if not configurations:
        reasons = "; ".join(inapplicable(named, injected_fault))
        raise UsageError(f"{injected_fault} applies to none of the runs: {reasons}")
    places = {seed: place for place, seed in enumerate(find_seeds(seeds))}
    runs = [
        Run(
            variant=variant.name,
            backend=backend,
            seed=seed,
            epochs=min(epochs or variant.epochs, variant.epochs),
            injected_fault=injected_fault,
            **given,
        )
        for seed in places
        for variant, backend in configurations
    ]
    return sorted(runs, key=lambda run: (places[run.seed], -expected_cost(run)))
