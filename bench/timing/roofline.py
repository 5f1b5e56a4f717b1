"""The least work of a training, and the highest rates of a machine.

They give two lower bounds of a training's seconds (Williams, Waterman and Patterson 2009,
"Roofline"): its operations at the rate of a large product, and its memory traffic at the rate of a
copy. Only products count as operations, with two for each multiplication and addition.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from bench.ensemble.batches import prepare
from bench.ensemble.gru import GRULayer
from bench.ensemble.in_place import IN_PLACE, Pointwise
from bench.ensemble.models import EnsembleModel, EveryToken, ensemble_model
from bench.ensemble.optimizer import AdamW, factors_of_steps
from bench.ensemble.parameters import Parameters
from hnrnn.metrics import LOSSES
from hnrnn.stream import language_model_data
from hnrnn.variants import Variant
from hnrnn.weights import initial_model

PRODUCT_SIZE = {"cpu": 2048, "cuda": 8192}
"""The number of rows of each square matrix in the product that is timed."""
COPIED_BYTES = {"cpu": 2**28, "cuda": 2**31}
REPETITIONS = 5


@dataclass(frozen=True)
class Work:
    """The work of training one seed, with validation."""

    operations: float
    traffic_bytes: float


@dataclass(frozen=True)
class Peak:
    """The highest rates that were measured on a device."""

    operations_per_second: float
    bytes_per_second: float


def work_of_ensemble(variant: Variant, epochs: int, device: str = "cpu") -> Work:
    """Return the work of one seed of an ensemble for ``epochs`` in float32 on ``device``.

    Each operation, also each function of ``bench.ensemble.in_place``, counts as reading its inputs
    and writing its results once, as if there were no caches.
    """
    parameters = Parameters([initial_model(variant, seed) for seed in (0, 1)], device)
    ensemble = ensemble_model(parameters, variant)
    dls = language_model_data(variant.bptt, parameters.models[0].batch_size, device)
    optimizer = AdamW(parameters)
    (factors,) = factors_of_steps(variant, len(dls.train), 1, parameters.flat_weights)
    traffic = _TrafficCounter()
    _count_as_one_pass(ensemble, optimizer, traffic)
    train, valid = (
        prepare([next(iter(stream))], ensemble.layout, seeds=2, dtype=torch.float32)[0]
        for stream in (dls.train, dls.valid)
    )

    def train_step() -> None:
        ensemble.train(train)
        optimizer.step(factors)

    operations = traffic_bytes = 0.0
    with torch.no_grad():
        for step, count in (
            (train_step, len(dls.train)),
            (lambda: ensemble.validate(valid), len(dls.valid)),
        ):
            operations += _operations_of(step) * count * epochs / 2
            traffic_bytes += traffic.bytes_of(step) * count * epochs / 2
    return Work(operations, traffic_bytes)


def operations_of_learner(variant: Variant, epochs: int) -> float:
    """Return the number of operations of ``hnrnn.training.fit`` for one seed and ``epochs``."""
    model, loss = initial_model(variant, 0), LOSSES[variant.loss]
    dls = language_model_data(variant.bptt, model.batch_size)
    (x, y), (valid_x, _) = next(iter(dls.train)), next(iter(dls.valid))
    train = _operations_of(lambda: torch.autograd.backward(loss(model(x), y)))
    model.eval()
    with torch.no_grad():
        valid = _operations_of(lambda: model(valid_x))
    return epochs * (train * len(dls.train) + valid * len(dls.valid))


def measure_peak(device: str) -> Peak:
    """Return the rates of the fastest of a few large products in float32, and of a few copies."""
    rows, copied = PRODUCT_SIZE[device], COPIED_BYTES[device]
    square = torch.ones(rows, rows, device=device)
    product = torch.empty_like(square)
    source = torch.ones(copied // 4, device=device)
    target = torch.empty_like(source)
    return Peak(
        2 * rows**3 / _best_seconds(lambda: torch.mm(square, square, out=product), device),
        2 * copied / _best_seconds(lambda: target.copy_(source), device),
    )


def _best_seconds(call: Callable[[], object], device: str) -> float:
    seconds = []
    for _ in range(REPETITIONS + 1):
        synchronise(device)
        start = time.perf_counter()
        call()
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def synchronise(device: str) -> None:
    """Wait until the device has finished its work."""
    if device == "cuda":
        torch.cuda.synchronize()


def _operations_of(call: Callable[[], object]) -> int:
    # torch counts only baddbmm: from shapes, a product of (S, M, K) and (S, K, N).
    in_place = {torch.ops.aten.baddbmm_: lambda _, x, y, **__: 2 * math.prod(x) * y[2]}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        call()
    return int(counter.get_total_flops())


class _TrafficCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count the bytes of the tensors that operations read and write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total_bytes = 0
        self.paused = False

    def bytes_of(self, call: Callable[[], object]) -> int:
        """Return the number of bytes that ``call`` reads and writes."""
        self.total_bytes = 0
        with self:
            call()
        return self.total_bytes

    def one_pass(self, function: Callable[..., None], passes: int) -> Callable[..., None]:
        """Return ``function``, counted as ``passes`` over a tensor like its second argument."""

        def counted(*arguments: Any) -> None:
            self.total_bytes += passes * _bytes(arguments[1])
            self.paused = True
            function(*arguments)
            self.paused = False

        return counted

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self.paused or func.is_view:
            return result
        schema = func._schema
        given = [*zip(schema.arguments, args, strict=False)]
        given += [(a, kwargs[a.name]) for a in schema.arguments if a.name in kwargs]
        for argument, value in given:
            written = argument.alias_info is not None and argument.alias_info.is_write
            if written and not argument.kwarg_only:  # changed in place: read and written
                self.total_bytes += 2 * _bytes_of_all(value)
            elif written or not schema.name.startswith(("aten::new_", "aten::empty")):
                self.total_bytes += _bytes_of_all(value)
        if not schema.is_mutable:
            self.total_bytes += _bytes_of_all(result)
        return result


def _bytes_of_all(value: object) -> int:
    """Return the number of bytes of a tensor or of a list's tensors; 0 for anything else."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return sum(_bytes(tensor) for tensor in values if isinstance(tensor, Tensor))


def _bytes(tensor: Tensor) -> int:
    """Return the number of bytes of a tensor; expanded dimensions count once."""
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    return math.prod(size for size, stride in sizes if stride) * tensor.element_size()


def _count_as_one_pass(ensemble: EnsembleModel, optimizer: AdamW, traffic: _TrafficCounter) -> None:
    """Count each pointwise function as one operation that reads and writes each tensor once."""
    counted = Pointwise(
        gru_forward=traffic.one_pass(IN_PLACE.gru_forward, 9),  # 4 gates, h; 3 gates, h'
        gru_backward=traffic.one_pass(IN_PLACE.gru_backward, 12),  # 4 gates, h, 2 d; 4 d gates, d
        adamw=traffic.one_pass(IN_PLACE.adamw, 7),  # 4 in, 3 out
    )
    optimizer.pointwise = counted
    if isinstance(ensemble, EveryToken):
        for layer in ensemble.layers:
            if isinstance(layer, GRULayer):
                layer.pointwise = counted
