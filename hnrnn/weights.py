"""Initial weights: drawn from a seed, given by the caller, and their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import torch
from torch import nn

from hnrnn.models import Model, build_model
from hnrnn.settings import pinned_settings
from hnrnn.variants import LARGEST_SEED, Variant

DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}


def find_dtype(name: str) -> torch.dtype:
    """Return the dtype with that name; raise ValueError for a name that is not in ``DTYPES``."""
    if name not in DTYPES:
        raise ValueError(f"unknown dtype {name!r}: choose from {', '.join(DTYPES)}")
    return DTYPES[name]


@pinned_settings()
def initial_model(
    variant: str | Variant, seed: int, *, initialisation: str = "ones", **sizes: object
) -> Model:
    """Return the variant's model with the initial weights of ``seed``: float32, on the CPU.

    ``initialisation`` is one of ``hnrnn.models.INITIALISATIONS``. torch's random state is
    restored. Raises ValueError for an invalid seed, initialisation or size.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed must be from 0 to 2**32 - 1, not {seed}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build_model(variant, initialisation=initialisation, **sizes)


def set_weights(model: nn.Module, weights: Mapping[str, Any]) -> None:
    """Copy ``weights``, arrays or tensors by parameter name, into ``model``.

    Parameters that are not named keep their values. Raises ValueError for a name or a shape that
    the model does not have.
    """
    parameters = dict(model.named_parameters())
    for name, values in weights.items():
        if name not in parameters:
            raise ValueError(f"no parameter {name!r}: the model has {', '.join(parameters)}")
        tensor = torch.as_tensor(values)
        parameter = parameters[name]
        if tensor.shape != parameter.shape:
            raise ValueError(
                f"{name} has shape {tuple(parameter.shape)}, not {tuple(tensor.shape)}"
            )
        with torch.no_grad():
            parameter.copy_(tensor)


def weights_sha256(model: nn.Module) -> str:
    """Return the hexadecimal digest of a model's state dict: names, dtypes, shapes and bits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        array: npt.NDArray[Any] = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
