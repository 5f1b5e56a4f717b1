"""Made-up nights that compute what the reference computes, but for rounding: no training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bench.store.store import Contents
from hnrnn.published import reference_runs, reference_weights
from hnrnn.variants import VARIANTS
from tests.made_up import night_of

KEYS = ["initialisation", "variant", "seed"]
ROUNDING = 1e-7
"""How far a made-up healthy run is from its reference, at most."""


def computed_night(
    seeds: int = 3,
    *,
    epochs: int | None = None,
    initialisation: str = "ones",
    draw: int = 0,
    weights: str = "",
) -> Contents:
    """Return a night of every variant on its own backend, as fastai computed it with these seeds.

    ``draw`` chooses the rounding; ``weights`` is part of every hash of final weights.
    """
    reference = reference_runs()
    chosen = (reference["initialisation"] == initialisation) & (reference["seed"] < seeds)
    reference = reference[chosen]
    values = reference.merge(reference_weights(), on=KEYS)
    values = values[values["epoch"] < (epochs or len(values))].reset_index(drop=True)
    noise = np.random.default_rng(draw).uniform(-ROUNDING, ROUNDING, (len(values), 2))
    values[["train_loss", "valid_loss"]] += noise
    values["run_id"] = values["variant"] + "-" + values["seed"].astype(str) + initialisation
    values["backend"] = values["variant"].map({v.name: v.backend for v in VARIANTS.values()})
    values["weights_sha256"] = values["run_id"] + weights
    return night_of(values)


def departing(
    contents: Contents,
    variant: str,
    by: float,
    *,
    seeds: Sequence[int] | None = None,
    first_epoch: int = 0,
    column: str = "valid_loss",
) -> Contents:
    """Return the night with a column of a variant's runs moved, from an epoch on."""
    epochs = contents.epochs.copy()
    moved = (epochs["variant"] == variant) & (epochs["epoch"] >= first_epoch)
    if seeds is not None:
        moved &= epochs["seed"].isin(seeds)
    epochs.loc[moved, column] += by
    return replace(contents, epochs=epochs)


def with_runs(contents: Contents, **values: object) -> Contents:
    """Return the night with these values in every run; new ids go with them."""
    new: Mapping[str, str] = {run: f"{run}x" for run in contents.runs["run_id"]}
    return replace(
        contents,
        runs=contents.runs.assign(**values, run_id=contents.runs["run_id"].map(new)),
        epochs=contents.epochs.assign(run_id=contents.epochs["run_id"].map(new)),
    )
