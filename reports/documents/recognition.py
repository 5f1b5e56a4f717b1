"""Which variant a training table belongs to, by what the table and its code show."""

from __future__ import annotations

from dataclasses import dataclass

from reports.documents.training_table import TrainingTable


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
    raise NotImplementedError((table, variant))
