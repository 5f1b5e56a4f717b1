"""What a profile trains: a table of parts, each with its backends and its number of seeds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

from bench.plan.grid import BACKENDS, NOTEBOOK, NOTEBOOK_BACKENDS
from bench.plan.plan import MOST_SEEDS, backends_of, find_configurations, make_plan, parse_seeds
from bench.store.records import ENSEMBLE, Run
from hnrnn.variants import LARGEST_SEED, VARIANTS

FIRST_FRESH = 1_000_000
"""Fresh seeds start here, above all published and reference seeds."""
BLOCK = MOST_SEEDS
"""The distance between the fresh seeds of two nights. A night uses half of it at most, so that the
seeds after its own are left to confirm a suspicion."""
FIRST_NIGHT = date(2025, 1, 1)
NIGHTS = (LARGEST_SEED + 1 - FIRST_FRESH) // BLOCK
"""Nights until the blocks start again, in the year 2142."""


def night_of(folder_seeds: Iterable[int], now: datetime | None = None) -> int:
    """Return the number of the night whose fresh seeds are drawn.

    It is that of the fresh seeds in the folder, so that a night is resumed after midnight too, and
    otherwise today's, in UTC.
    """
    started = [seed for seed in folder_seeds if seed >= FIRST_FRESH]
    if started:
        return (max(started) - FIRST_FRESH) // BLOCK
    today = (now or datetime.now(UTC)).date()
    return (today - FIRST_NIGHT).days % NIGHTS


@dataclass(frozen=True)
class Part:
    """Backends and the number of seeds that each of them is trained on."""

    purpose: str
    backends: tuple[str, ...] | None
    """None for every backend that trains one seed at a time and that the device can have."""
    seeds: Mapping[str, int]
    """The number of seeds by device."""
    fresh: bool = False
    """Whether half of the seeds are other ones every night; docs/statistics.md says why half."""

    def names(self, device: str, asked: Sequence[str] | None) -> tuple[str, ...]:
        """Return the names of its backends on ``cpu`` or ``cuda``: those ``asked`` for, if any."""
        if asked is not None:
            return tuple(name for name in asked if self._trains(name))
        if self.backends is not None:
            return self.backends
        alone = [backend for backend in BACKENDS.values() if not backend.joint]
        return tuple(b.name for b in alone if device == "cuda" or not b.needs_gpu)

    def _trains(self, name: str) -> bool:
        """Return whether a backend that a user names belongs here, and not to another part."""
        if self.backends is None or self.fresh:
            return (name in BACKENDS and BACKENDS[name].joint) == self.fresh
        return True

    def draw(self, device: str, night: int, asked: str | None) -> list[int]:
        """Return the seeds: those ``asked`` for, of which a number keeps its half of fresh ones."""
        count = self.seeds[device]
        if asked is not None:
            seeds = parse_seeds(asked)
            if not (self.fresh and re.fullmatch("[0-9]+", asked.strip())):
                return seeds
            count = len(seeds)
        fresh = count // 2 if self.fresh else 0
        first = FIRST_FRESH + BLOCK * night
        return [*range(count - fresh), *range(first, first + fresh)]


@dataclass(frozen=True)
class Profile:
    """How much a command does unless its options say otherwise."""

    description: str
    parts: tuple[Part, ...]
    """What ``bench run`` trains."""
    rounds: int
    """Of ``bench throughput``."""
    block_seconds: float
    """How long a block of steps lasts in a round."""
    epochs: int | None = None
    """None for all epochs of the recipe."""


def _everywhere(seeds: int) -> Mapping[str, int]:
    return MappingProxyType({"cpu": seeds, "cuda": seeds})


_NOTEBOOK = (NOTEBOOK, *NOTEBOOK_BACKENDS)
RUN_BY_RUN = Part("each run beside its reference run", None, _everywhere(2))
"""One seed misses that every run has the seed 0, and leaves 1% of healthy configurations undecided;
two leave 0.2%, and five find 1% more of the injected faults (reports/published/rounding)."""
DISTRIBUTION = Part(
    "certificate, baseline and drift",
    (ENSEMBLE,),
    MappingProxyType({"cpu": 200, "cuda": 1000}),
    fresh=True,
)

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "smoke": Profile(
            "to see that everything works",
            (Part("all", _NOTEBOOK, _everywhere(2)),),
            rounds=2,
            block_seconds=0.01,
            epochs=1,
        ),
        "quick": Profile(
            "minutes on a CPU",
            (Part("all", _NOTEBOOK, _everywhere(5)),),
            rounds=15,
            block_seconds=0.2,
        ),
        "nightly": Profile(
            "enough for the tests to reject",
            (RUN_BY_RUN, DISTRIBUTION),
            rounds=40,
            block_seconds=0.5,
        ),
    }
)


def plan_of(
    profile: Profile,
    *,
    variants: Sequence[str],
    backends: Sequence[str] | None,
    seeds: str | None,
    device: str,
    night: int,
    **kind: Any,
) -> list[Run]:
    """Return the runs of a profile on ``cpu`` or ``cuda``, in the order of ``make_plan``.

    ``backends`` are trained instead of the profile's. ``seeds``, as a user writes them, replace
    those of the last part, and of all ``backends`` that are named. A number of seeds keeps its
    half of fresh ones; a range or a list is taken as it is. ``kind`` goes to ``make_plan``.

    Raises UsageError as ``make_plan`` does.
    """
    named = [(part, part.names(device, backends)) for part in profile.parts]
    find_configurations(variants, [name for _, names in named for name in names])
    runs: list[Run] = []
    for part, names in named:
        if any(backends_of(VARIANTS[variant], names) for variant in variants):
            own = backends is not None or part is profile.parts[-1]
            runs += make_plan(
                variants=variants,
                backends=names,
                seeds=part.draw(device, night, seeds if own else None),
                device=device,
                epochs=profile.epochs,
                **kind,
            )
    return runs
