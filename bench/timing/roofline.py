"""What a training has to do at least, and what a machine does at most.

Two floors under a training's seconds (Williams, Waterman and Patterson 2009, "Roofline"): its
operations at the rate of the machine's fastest product, and the bytes that it moves at the rate of
a copy. Operations are those of products, two for a multiplication with its addition.
"""

from __future__ import annotations

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
from bench.ensemble.in_place import IN_PLACE
from bench.ensemble.models import EnsembleModel, EveryToken, ensemble_model
from bench.ensemble.optimizer import AdamW, schedule
from bench.ensemble.parameters import Parameters
from bench.ensemble.pointwise import Pointwise
from hnrnn.stream import language_model_data
from hnrnn.training import LOSSES, initial_model
from hnrnn.variants import Variant

PRODUCT_SIZE = {"cpu": 2048, "cuda": 8192}
"""Rows of the square matrices whose product is timed."""
COPIED_BYTES = {"cpu": 2**28, "cuda": 2**31}
REPETITIONS = 5


@dataclass(frozen=True)
class Work:
    """What training one seed takes, validation included."""

    operations: float
    traffic_bytes: float


@dataclass(frozen=True)
class Peak:
    """What a device did at most."""

    operations_per_second: float
    bytes_per_second: float


def work_of_ensemble(variant: Variant, epochs: int, device: str = "cpu") -> Work:
    """Return the work of one seed among many over ``epochs``, in float32, as ``device`` does it.

    Each operation reads its inputs and writes its results once, as if there were no caches; the
    functions of ``bench.ensemble.pointwise`` are one operation each, as a GPU has them.
    """
    parameters = Parameters([initial_model(variant, seed) for seed in (0, 1)], device)
    ensemble = ensemble_model(parameters, variant)
    dls = language_model_data(variant.bptt, parameters.models[0].batch_size, device)
    optimizer = AdamW(parameters)
    (coefficients,) = schedule(variant, len(dls.train), 1, parameters.flat_weights)
    traffic = _TrafficCounter()
    _count_as_one_pass(ensemble, optimizer, traffic)
    train, valid = (
        prepare([next(iter(stream))], ensemble.layout, seeds=2, dtype=torch.float32)[0]
        for stream in (dls.train, dls.valid)
    )

    def train_step() -> None:
        ensemble.train(train)
        optimizer.step(coefficients)

    total = Work(0, 0)
    with torch.no_grad():
        for step, count in (
            (train_step, len(dls.train)),
            (lambda: ensemble.validate(valid), len(dls.valid)),
        ):
            operations, moved = _operations_of(step), traffic.bytes_of(step)
            total = Work(
                total.operations + operations * count * epochs / 2,
                total.traffic_bytes + moved * count * epochs / 2,
            )
    return total


def operations_of_learner(variant: Variant, epochs: int) -> float:
    """Return the operations of ``hnrnn.training.fit`` for one seed over ``epochs``."""
    model, loss = initial_model(variant, 0), LOSSES[variant.loss]
    dls = language_model_data(variant.bptt, model.batch_size)
    (x, y), (valid_x, _) = next(iter(dls.train)), next(iter(dls.valid))
    train = _operations_of(lambda: torch.autograd.backward(loss(model(x), y)))
    model.eval()
    with torch.no_grad():
        valid = _operations_of(lambda: model(valid_x))
    return epochs * (train * len(dls.train) + valid * len(dls.valid))


def measure_peak(device: str) -> Peak:
    """Return the best of a few products of large matrices in float32, and of a few copies."""
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
    """Wait until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def _operations_of(call: Callable[[], object]) -> int:
    in_place = {torch.ops.aten.baddbmm_: _baddbmm_operations}  # torch counts the other form alone
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        call()
    return int(counter.get_total_flops())


def _baddbmm_operations(
    added: Sequence[int], left: Sequence[int], right: Sequence[int], **_: object
) -> int:
    """Return the operations of a product of shapes, (S, M, K) times (S, K, N)."""
    del added
    return 2 * left[0] * left[1] * left[2] * right[2]


class _TrafficCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that operations read and write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total_bytes = 0
        self.paused = False

    def bytes_of(self, call: Callable[[], object]) -> int:
        """Return the bytes that ``call`` moves."""
        self.total_bytes = 0
        with self:
            call()
        return self.total_bytes

    def one_pass(self, function: Callable[..., None], passes: int) -> Callable[..., None]:
        """Return ``function``, to be counted as ``passes`` over a tensor like its second."""

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
            if written and not argument.kwarg_only:  # in place: read as well
                self.total_bytes += 2 * _bytes_of_all(value)
            elif written or not schema.name.startswith(("aten::new_", "aten::empty")):
                self.total_bytes += _bytes_of_all(value)
        if not schema.is_mutable:
            self.total_bytes += _bytes_of_all(result)
        return result


def _bytes_of_all(value: object) -> int:
    """Return the bytes of a tensor, of a list's tensors, and of anything else none."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return sum(_bytes(tensor) for tensor in values if isinstance(tensor, Tensor))


def _bytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor's elements, each one once however often it is expanded."""
    expanded = [
        size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride == 0
    ]
    elements = tensor.numel()
    for size in expanded:
        elements //= max(size, 1)
    return elements * tensor.element_size()


def _count_as_one_pass(ensemble: EnsembleModel, optimizer: AdamW, traffic: _TrafficCounter) -> None:
    """Have the pointwise functions counted by what they read and write."""
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
