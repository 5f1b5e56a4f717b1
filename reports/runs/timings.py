"""What a night timed, and what is missing of it: measurement by measurement, or as a whole."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby

import pandas as pd

from bench.store.records import CALIBRATION, FAILED, OK
from bench.text import counted
from reports.runs.completeness import Problem
from reports.runs.night import Configuration
from reports.runs.ratios import latest

MISSING_TIMING = "missing timing"
"""The kind of problem that something was timed before and not tonight."""
ALIKE = {"device_name": "device", "dtype": "dtype", "threads": "number of threads"}
"""The columns in which timings must be alike to be compared, in words."""
TIMED = [*ALIKE, "variant", "backend", "phase"]
ADVICE = (
    "time it with `python -m bench throughput --results DIR`, or accept the night without it: "
    "`python -m reports baseline accept`"
)
Key = tuple[str, ...]


def lost_timings(
    night: pd.DataFrame, baseline: pd.DataFrame, trained_on: Collection[str] = ()
) -> list[Problem]:
    """Return a problem for whatever the baseline timed and the night did not.

    Both are rows of the ``throughput`` table. What the baseline timed on devices that the night
    neither timed nor trained on (``trained_on``) is not missing.
    """
    ours, theirs = _timed(night), _timed(baseline)
    here = {key[0] for key in ours} | set(trained_on)
    expected = [key for key in theirs if key[0] in here]
    missing = [key for key in expected if key not in ours]
    if missing and len(missing) == len(expected):
        return [Problem(MISSING_TIMING, f"{_why_none(night, ours, expected)}; {ADVICE}")]
    return _problems([key[len(ALIKE) :] for key in missing])


def lost_since(
    night: pd.DataFrame, kind: pd.DataFrame, timed: Collection[Configuration], when: str
) -> list[Problem]:
    """Return a problem for the configurations that the last night timed and this one did not.

    ``timed`` are those of the night ``when``. Only timings on the device and with the dtype of the
    runs in ``kind`` count, as in a history.
    """
    like = night
    for column in ("device_name", "dtype") if len(kind) else ():
        like = like[like[column].isin(kind[column])]
    ours = {key[len(ALIKE) :] for key in _timed(like)}
    gone = sorted(each for each in timed if (*each, "train_step") not in ours)
    if not gone:
        return []
    names = ", ".join(" ".join(each) for each in gone)
    detail = f"{names} was timed on {when} and not tonight"
    if len(gone) == len(timed):
        detail = f"nothing of what was timed on {when} was timed tonight ({names})"
    return [Problem(MISSING_TIMING, f"{detail}; {ADVICE}")]


def _timed(samples: pd.DataFrame) -> list[Key]:
    """Return what was timed, in the table's order: the values of ``TIMED``."""
    rows = latest(samples)
    rows = rows[rows["status"] == OK].drop_duplicates(TIMED)
    return [tuple(map(str, key)) for key in rows[TIMED].itertuples(index=False, name=None)]


def _why_none(night: pd.DataFrame, ours: Collection[Key], expected: Collection[Key]) -> str:
    """Say why nothing of the baseline's was timed tonight."""
    before = f"and the baseline has {counted(len({key[3:5] for key in expected}), 'configuration')}"
    if night.empty:
        return f"nothing was timed tonight, {before}"
    if not ours:
        failed = night[night["status"] == FAILED]
        first = (failed if len(failed) else night).iloc[0]
        return (
            f"nothing could be timed tonight, {before}: "
            f"{first['variant']} {first['backend']} {first['status']}, {first['error']}"
        )
    for place, word in enumerate(ALIKE.values()):
        here, there = ({key[place] for key in keys} for keys in (ours, expected))
        if not here & there:
            return (
                f"tonight's timings are of {word} {', '.join(sorted(here))}, "
                f"the baseline's of {', '.join(sorted(there))}"
            )
    return f"nothing of what the baseline timed was timed tonight, {before}"


def _problems(missing: Collection[Key]) -> list[Problem]:
    """Return a problem per configuration, and one for the calibration workload."""
    beside = dict.fromkeys(variant for variant, backend, _ in missing if backend == CALIBRATION)
    found = [
        Problem(
            MISSING_TIMING,
            f"{variant} {backend} has no {', '.join(key[2] for key in keys)}",
            (variant, backend),
        )
        for (variant, backend), keys in groupby(
            sorted((key for key in missing if key[1] != CALIBRATION), key=_place), key=_place
        )
    ]
    if beside:
        what = f"the calibration workload was not timed beside {', '.join(beside)}"
        found.append(Problem(MISSING_TIMING, what))
    if found:
        last = found[-1]
        found[-1] = Problem(last.kind, f"{last.detail}; {ADVICE}", last.configuration)
    return found


def _place(key: Key) -> tuple[str, str]:
    return key[0], key[1]
