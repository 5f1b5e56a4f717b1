"""The healthy kinds: ways to execute the same mathematics that round as differently as can be.

What changes no bit is no kind: the number of seeds in an ensemble on a CPU, oneDNN on or off, torch
2.11 in place of 2.13, and on an AMD processor ``MKL_ENABLE_INSTRUCTIONS``.
Needs no torch. ``bench.verification.measurement`` trains them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bench.plan.faults import FAULTS
from bench.plan.grid import BACKENDS, NOTEBOOK
from bench.store.records import ENSEMBLE
from hnrnn.variants import Variant


@dataclass(frozen=True)
class Kind:
    """One way to train that is right, or wrong on purpose."""

    name: str
    description: str
    backend: str = NOTEBOOK
    injected_fault: str | None = None
    """A fault, or a control, of ``bench.plan.faults``."""
    threads: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the process that trains."""
    draws: int = 0
    """How often each seed is trained from weights moved by one unit in the last place."""
    dtype: str = "float32"
    initialisation: str = "ones"
    device: str | None = None
    """The only device on which it is another kind; None for any."""

    @property
    def family(self) -> str:
        """What is left out together when limits are tried on kinds that they have not seen."""
        return ENSEMBLE if self.backend == ENSEMBLE else self.name

    def applies_to(self, variant: Variant, device: str) -> bool:
        """Return whether the variant can be trained in this way on ``cpu`` or ``cuda``."""
        if self.device not in (None, device):
            return False
        backend = variant.backend if self.backend == NOTEBOOK else self.backend
        fault = FAULTS[self.injected_fault] if self.injected_fault else None
        if fault and fault.why_inapplicable(variant, backend):
            return False
        return BACKENDS[backend].executes(variant)


_TABLE = (
    Kind("notebook", "the notebook's own backend"),
    Kind("nn", "nn.RNN or nn.GRU", backend="nn"),
    Kind("cell", "a loop over nn.RNNCell or nn.GRUCell", backend="cell"),
    Kind("custom", "a loop over the hand-written cell", backend="custom"),
    Kind("custom_hoisted", "one input projection, own backward", backend="custom_hoisted"),
    Kind("ensemble", "many seeds as one batched computation", backend=ENSEMBLE),
    Kind("threads_2", "two CPU threads", threads=2, device="cpu"),
    Kind("threads_4", "four CPU threads", threads=4, device="cpu"),
    Kind("reordered_sum", "the rows of every batch reversed", injected_fault="reordered_sum"),
    Kind(
        "aten_default",
        "torch's kernels without vector instructions",
        variables={"ATEN_CPU_CAPABILITY": "default"},
        device="cpu",
    ),
    Kind(
        "aten_avx2",
        "torch's kernels for AVX2",
        variables={"ATEN_CPU_CAPABILITY": "avx2"},
        device="cpu",
    ),
    Kind(
        "mkl_compatible",
        "MKL's products as on its oldest processors",
        variables={"MKL_CBWR": "COMPATIBLE"},
        device="cpu",
    ),
    Kind(
        "ensemble_oldest",
        "an ensemble on the oldest kernels of torch and MKL",
        backend=ENSEMBLE,
        variables={"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
        device="cpu",
    ),
    Kind("last_bit", "initial weights moved by one unit in the last place", draws=1),
    Kind("ensemble_last_bit", "the same, several times, in an ensemble", backend=ENSEMBLE, draws=3),
    Kind(
        "ensemble_last_bit_uniform",
        "ensemble_last_bit from the uniform start",
        backend=ENSEMBLE,
        draws=3,
        initialisation="uniform",
    ),
    Kind("nn_no_cudnn", "nn without cuDNN", backend="nn_no_cudnn", device="cuda"),
    Kind("compiled", "torch.compile of the loop", backend="compiled"),
    Kind("graphed", "a CUDA graph over nn", backend="graphed", device="cuda"),
    Kind("graphed_loop", "a CUDA graph over the loop", backend="graphed_loop", device="cuda"),
    Kind("float64", "an ensemble in float64, for information", backend=ENSEMBLE, dtype="float64"),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _TABLE})
"""Healthy kind by name."""


TORCH = "2.13."
"""The torch of the reference runs. The names of kinds that another one trained end in its version.
"""


def file_name(kind: str, device: str, torch_version: str) -> str:
    """Return the name of a kind as it was measured, such as ``cell@cuda`` or ``cell@torch-2.11.0``.

    A CPU and the torch of the reference runs are not named.
    """
    release = torch_version.partition("+")[0]
    parts = [kind]
    if device != "cpu":
        parts.append(device)
    if not release.startswith(TORCH):
        parts.append(f"torch-{release}")
    return "@".join(parts)


def family_of(measured: str) -> str:
    """Return the family of a measured kind; of one that is not in the table, its own name."""
    name, at, where = measured.partition("@")
    return (KINDS[name].family if name in KINDS else name) + at + where


def counts(measured: str) -> bool:
    """Return whether limits follow from a measured kind: whether it computes in float32."""
    kind = KINDS.get(measured.partition("@")[0])
    return kind is None or kind.dtype == "float32"
