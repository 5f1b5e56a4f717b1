"""The human-numbers RNN notebook as a library: its data, its eight models, its training.

    import hnrnn
    hnrnn.train("Model5", seed=0)

torch and fastai are loaded when one of the names below is first used, so that the published tables
and the table of variants can be read without them. This module is the front door of the project:
the names that judge and draw a table come from ``reports``, which is loaded on first use too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnrnn.exports import lazy

if TYPE_CHECKING:
    from hnrnn.models import build_model
    from hnrnn.stream import language_model_data
    from hnrnn.training import train
    from hnrnn.v1_learner import learner
    from hnrnn.variants import VARIANTS, Variant
    from reports.api import judge, plot, published_table, seed_distribution

__version__ = "0.1.0"

__all__ = [
    "VARIANTS",
    "Variant",
    "build_model",
    "judge",
    "language_model_data",
    "learner",
    "plot",
    "published_table",
    "seed_distribution",
    "train",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "VARIANTS": "hnrnn.variants",
        "Variant": "hnrnn.variants",
        "build_model": "hnrnn.models",
        "judge": "reports.api",
        "language_model_data": "hnrnn.stream",
        "learner": "hnrnn.v1_learner",
        "plot": "reports.api",
        "published_table": "reports.api",
        "seed_distribution": "reports.api",
        "train": "hnrnn.training",
    },
)
