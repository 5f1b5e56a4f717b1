"""How far runs are from the reference runs of their seeds, and why some have none.

``hnrnn.departures`` holds the distances against what is known of rounding.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from hnrnn.published import MEASURES

OTHER_WEIGHTS = "other initial weights"
NO_SEED = "no reference run of its seed"
OTHER_DTYPE = "the reference runs are in float32"

DIGITS = 7
"""Significant digits of the published reference runs."""
UNITS = {"train_loss": 0.5, "valid_loss": 2.0, "accuracy": 2.0}
"""How many units of the last digit count as the same digits.

fastai 1.0.61 averages a validation in float32; we do it in float64.
"""


def distances(
    epochs: pd.DataFrame, reference: pd.DataFrame, *, digits: int | None = DIGITS
) -> pd.DataFrame:
    """Return how far each value of ``epochs`` is from the reference's, one row per value.

    Both have one row per epoch, with the columns ``initialisation``, ``variant``, ``seed``,
    ``epoch`` and those of ``MEASURES``; ``reference`` has a seed once. ``digits`` is how many
    significant digits the reference has; None where it is complete.

    The result keeps the other columns of ``epochs`` and has, in place of the measures, ``column``,
    ``value``, ``reference``, ``distance`` (infinite where one of the two is no number, and 0 where
    both are the same) and ``same`` (whether it equals the reference as far as its digits go).
    Epochs without a reference are left out.
    """
    keys = ["initialisation", "variant", "seed", "epoch"]
    measures = list(MEASURES)
    both = epochs.merge(
        reference[keys + measures], on=keys, suffixes=("", "_reference"), validate="many_to_one"
    )
    kept = both.columns.difference(
        [*measures, *(f"{name}_reference" for name in measures)], sort=False
    )
    parts = []
    for name in measures:
        value = both[name].to_numpy(float)
        expected = both[f"{name}_reference"].to_numpy(float)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            distance = np.abs(value - expected)
        distance[~np.isfinite(distance)] = np.inf
        distance[(value == expected) | (np.isnan(value) & np.isnan(expected))] = 0.0
        parts.append(
            both[kept].assign(
                column=name,
                value=value,
                reference=expected,
                distance=distance,
                same=distance <= UNITS[name] * _unit_of_last_digit(expected, digits),
            )
        )
    return pd.concat(parts, ignore_index=True)


def _unit_of_last_digit(
    values: npt.NDArray[np.float64], digits: int | None
) -> npt.NDArray[np.float64]:
    """Return one unit in the last place of numbers with so many decimal digits, (n,)."""
    if digits is None:
        return np.zeros(len(values))
    exponents = np.floor(np.log10(np.maximum(np.abs(values), 1e-300)))
    return 1.0001 * 10.0 ** (exponents - digits + 1)  # a little more, because binary is not decimal


def reasons_without_reference(runs: pd.DataFrame, weights: pd.DataFrame) -> pd.Series:
    """Return for each run why it has no reference run; None where it has one.

    ``runs`` has one row per run with ``initialisation``, ``variant``, ``seed``, ``dtype`` and
    ``initial_weights_sha256``; ``weights`` is ``hnrnn.published.reference_weights()``, or the same
    columns of other runs. The result has the index of ``runs``.
    """
    keys = ["initialisation", "variant", "seed"]
    known = weights.set_index(keys)["initial_weights_sha256"]
    expected = known.reindex(pd.MultiIndex.from_frame(runs[keys])).to_numpy()
    reasons = np.full(len(runs), None, dtype=object)
    reasons[runs["initial_weights_sha256"].to_numpy() != expected] = OTHER_WEIGHTS
    reasons[pd.isna(expected)] = NO_SEED
    reasons[(runs["dtype"] != "float32").to_numpy()] = OTHER_DTYPE
    return pd.Series(reasons, index=runs.index, name="reason", dtype=object)
