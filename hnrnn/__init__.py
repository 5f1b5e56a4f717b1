"""The human-numbers RNN notebook as a library: its data, its eight models, its training.

    import hnrnn
    hnrnn.train("Model5", seed=0)

torch and fastai are loaded when one of the names below is first used, so that the published tables
and the table of variants can be read without them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hnrnn.models import build_model
    from hnrnn.stream import language_model_data
    from hnrnn.training import train
    from hnrnn.variants import VARIANTS, Variant

__version__ = "0.1.0"

__all__ = ["VARIANTS", "Variant", "build_model", "language_model_data", "train"]

_HOMES = {
    "VARIANTS": "hnrnn.variants",
    "Variant": "hnrnn.variants",
    "build_model": "hnrnn.models",
    "language_model_data": "hnrnn.stream",
    "train": "hnrnn.training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hnrnn' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
