"""Which variant a training table belongs to, by what the table and its code show."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from hnrnn.corpus import generate
from hnrnn.published import MEASURES
from hnrnn.text import counted
from hnrnn.variants import VARIANTS, Variant, find_variant
from hnrnn.vocab import tokenize
from reports.documents.fits import fits_in
from reports.documents.learners import BATCH_SIZE, Fit
from reports.documents.training_table import TrainingTable

HIDDEN_SIZE = 64
DECIMALS = 6
"""As many as fastai prints."""
ROUNDING = 5e-7
"""How far a mean of float32 accuracies may be from the true one, beyond its printed digits."""


@dataclass(frozen=True)
class Recognition:
    """The variant of a table, or why it cannot be told.

    ``variant`` is ``Model0`` to ``Model7``, or None for a table that must not be judged.
    ``candidates`` are all variants that it could be; with more than one, ``variant`` is None.
    ``reason`` is one sentence: why this variant, why ambiguous, or why another recipe.
    """

    variant: str | None
    candidates: tuple[str, ...]
    reason: str


def recognise(table: TrainingTable, variant: str | None = None) -> Recognition:
    """Return the variant of a table; ``variant`` is what the user says that it is.

    A user's variant is taken unless the table contradicts it: another number of epochs, or
    accuracies that are no whole counts of the variant's validation targets. Raises ValueError for
    an unknown variant.
    """
    if variant is not None:
        known = find_variant(variant)
        wrong = [*_other_counts(table, known), *_other_epochs(table, known)]
        if wrong:
            return _unjudged(f"It cannot be judged as {known.name}: {_listed(wrong)}.", known)
        return Recognition(known.name, (known.name,), f"It is taken as {known.name}, as you say.")
    fit = next(reversed(fits_in(table.code)), None)
    named = _named(table, fit)
    recipes = {
        name: [*_other_network(fit, named, known), *_other_training(fit, known)]
        for name, known in VARIANTS.items()
    }
    likely = [name for name, wrong in recipes.items() if not wrong]
    if not likely:
        built = fit.architecture.nearest if fit and fit.architecture else named
        nearest = built or min(recipes, key=lambda name: len(recipes[name]))
        what = f"not {built}'s recipe:" if built else f"no variant's recipe; beside {nearest}'s,"
        return _unjudged(f"It is {what} {_listed(recipes[nearest])}.")
    return _by_table(table, likely, _evidence(fit, named))


def _by_table(table: TrainingTable, likely: Sequence[str], evidence: str) -> Recognition:
    """Choose among the variants that the code allows by the table itself."""
    count = len(table.rows)
    likely = [name for name in likely if VARIANTS[name].epochs == count] or likely
    counts = {name: _other_counts(table, VARIANTS[name]) for name in likely}
    whole = [name for name in likely if not counts[name]]
    if not whole:
        return _unjudged(f"It is another recipe: {_listed(counts[likely[0]])}.")
    epochs = {name: _other_epochs(table, VARIANTS[name]) for name in whole}
    fitting = tuple(name for name in whole if not epochs[name])
    if len(fitting) == 1:
        return Recognition(fitting[0], fitting, f"It is {fitting[0]}: {evidence}.")
    if fitting:
        reason = f"It may be {_either(fitting)}: {evidence}; say which with --variant."
        return Recognition(None, fitting, reason)
    longer = [name for name in whole if VARIANTS[name].epochs >= count]
    if not longer:
        return _unjudged(f"It is another recipe: {_listed(epochs[whole[0]])}.")
    part = f"it has {counted(count, 'epoch')}, and a part is not judged as a whole"
    lengths = {VARIANTS[name].epochs for name in longer}
    wrong = part if len(lengths) > 1 else _listed(epochs[longer[0]])
    candidates = [VARIANTS[name] for name in longer]
    return _unjudged(f"It may be {_either(longer)}, but cannot be judged: {wrong}.", *candidates)


def _unjudged(reason: str, *candidates: Variant) -> Recognition:
    return Recognition(None, tuple(known.name for known in candidates), reason)


def _named(table: TrainingTable, fit: Fit | None) -> str:
    """Return the variant that the model's class or, without code, the table's source names."""
    if fit is not None and fit.model in VARIANTS:
        return fit.model
    names = set(re.findall(r"(?<![A-Za-z0-9])Model[0-7](?![A-Za-z0-9])", table.source))
    return names.pop() if len(names) == 1 and fit is None else ""


def _evidence(fit: Fit | None, named: str) -> str:
    if fit is None and named:
        return "its source names it, and its epochs and accuracies fit"
    if fit is None:
        return "there is no code to tell, and its epochs and accuracies fit"
    if fit.architecture:
        return "its code builds that network, and its epochs and accuracies fit"
    if named:
        return "its class has that name (its source is not there), and the recipe fits"
    return "its code does not show the model, and its recipe, epochs and accuracies fit"


def _other_network(fit: Fit | None, named: str, known: Variant) -> list[str]:
    """Return what the code's network does otherwise than the variant's."""
    if fit is None or fit.architecture is None:
        return [] if named in ("", known.name) else [f"it is named {named}"]
    built = fit.architecture
    if built.nearest != known.name:
        return [f"its code builds {built.nearest}'s network"]
    sizes = sorted(built.sizes - {HIDDEN_SIZE})
    odd = [f"it has {size} hidden units, not {HIDDEN_SIZE}" for size in sizes]
    return [*built.differences, *odd]


def _other_training(fit: Fit | None, known: Variant) -> list[str]:
    """Return what the code's training does otherwise than the variant's recipe."""
    if fit is None:
        return []
    compared = (
        ("its bptt is {}", fit.bptt, known.bptt),
        ("its batch size is {}", fit.batch_size, BATCH_SIZE),
        ("it is trained for {} epochs", fit.epochs, known.epochs),
        ("its learning rate is {:g}", fit.learning_rate, known.learning_rate),
        ("its pct_start is {:g}", fit.pct_start, known.pct_start),
    )
    wrong = [
        f"{words.format(found)}, not {expected:g}"
        for words, found, expected in compared
        if found is not None and not math.isclose(found, expected)
    ]
    if not fit.is_first:
        wrong.append("it continues a training instead of starting from fresh weights")
    return [*wrong, *fit.differences]


def _other_epochs(table: TrainingTable, known: Variant) -> list[str]:
    """Return what a table lacks, or has too much, to be the variant's whole table."""
    count = len(table.rows)
    if count < known.epochs:
        return [f"it has {count} of {known.epochs} epochs, and a part is not judged as a whole"]
    if count > known.epochs:
        return [f"it has {count} epochs, not {known.epochs}"]
    if table.rows["epoch"].tolist() != list(range(known.epochs)):
        return [f"its epochs do not run from 0 to {known.epochs - 1}"]
    missing = int((~np.isfinite(table.rows[list(MEASURES)].to_numpy())).sum())
    return [f"it has no finite number in {counted(missing, 'place')}"] if missing else []


def _other_counts(table: TrainingTable, known: Variant) -> list[str]:
    """Return that the accuracies cannot be the variant's, if they are no whole counts."""
    accuracies = table.rows["accuracy"].dropna().to_numpy()
    targets = validation_targets(known)
    decimals = max((_decimals(value) for value in accuracies), default=0)
    tolerance = 0.5 * 10.0**-decimals + ROUNDING
    furthest = np.abs(accuracies - np.round(accuracies * targets) / targets)
    wrong = int((furthest > tolerance).sum())
    if not wrong:
        return []
    what = f"whole counts of {known.name}'s {targets} validation targets"
    which = f"{wrong} of its {len(accuracies)} accuracies"
    return [f"{which} cannot be {what}, so bptt, batch size or data differ"]


@cache
def validation_targets(variant: Variant) -> int:
    """Return out of how many predictions an accuracy of the variant is a share.

    fastai 1 fills the last batch, so that there are whole batches of ``bptt`` tokens in 64 rows.
    """
    tokens = len(tokenize(generate().valid))
    batches = math.ceil(tokens / (variant.bptt * BATCH_SIZE))
    return batches * BATCH_SIZE * (variant.bptt if variant.target == "every" else 1)


def _decimals(value: float) -> int:
    """Return how many decimals a number was printed with, at most ``DECIMALS``."""
    return len(f"{value:.{DECIMALS}f}".rstrip("0").partition(".")[2])


def _listed(parts: Sequence[str]) -> str:
    return "; ".join(parts)


def _either(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
