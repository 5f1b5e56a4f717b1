"""How long does a training step take in JAX, beside the ensemble's?

    $ pip install -e ".[jax]"
    $ python docs/studies/jax_comparison.py

Both do forward, loss, backward and AdamW of the one-layer and the two-layer GRU, in float32, on the
same batches, on one thread of one core of a CPU. JAX compiles a step with ``jax.jit``: for one seed
at a time, and by ``jax.vmap`` for ``SEEDS`` seeds at once. As in the ensemble the input of all
steps is projected at once. For each case the fastest of several programs is taken: the first layer
looks up embeddings or the projected vocabulary, and ``jax.lax.scan`` is unrolled by one of
``UNROLLS``.

First, losses and gradients of both are compared in float64. Then all take turns, a few steps at a
time. Seconds are those of the process on its core, so that other programs matter less. Last, the
rates of both in the products of a GRU tell why they differ.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice, product
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import Array

from bench.ensemble.batches import Batch, prepare
from bench.ensemble.models import EnsembleModel, ensemble_model
from bench.ensemble.normalisation import EPS as BATCH_NORM_EPS
from bench.ensemble.normalisation import MOMENTUM
from bench.ensemble.optimizer import AdamW, factors_of_steps
from bench.ensemble.parameters import Parameters
from bench.ensemble.stepping import Step, stepper
from hnrnn.optimizer import BETAS, EPS
from hnrnn.stream import language_model_data
from hnrnn.variants import VARIANTS
from hnrnn.weights import DTYPES, initial_model

MODELS = ("Model6", "Model5")
SEEDS = 8
STEPS = 4
"""Training steps of a case in a round."""
UNROLLS = (1, 2, 4, 20)
TOLERANCE = 1e-10
"""The largest relative difference in float64 that is rounding."""
PRODUCTS = ((64, 64, 192), (64, 192, 64), (1280, 64, 192), (192, 1280, 64))
"""A step's, forward and backward; an input's of all steps, and the gradient of its weights."""
THE_ENSEMBLE = f"ensemble, {SEEDS} seeds at once"

Weights = Mapping[str, Array]
State = dict[str, Any]
Projection = Callable[[Array, Array, Array, Array], Array]


def embedding_first(table: Array, weight: Array, bias: Array, tokens: Array) -> Array:
    """Return the projected rows of ``table`` for ``tokens``: (steps, bs, 3 * hidden)."""
    return table[tokens] @ weight.T + bias


def vocabulary_first(table: Array, weight: Array, bias: Array, tokens: Array) -> Array:
    """Return the same, looked up in the projected ``table``."""
    return (table @ weight.T + bias)[tokens]


class Program:
    """A training step of one seed in JAX, for models with ``layers`` layers."""

    def __init__(self, layers: int, project: Projection, unroll: int) -> None:
        self.layers, self.project, self.unroll = layers, project, unroll

    def loss(
        self, weights: Weights, h: Array, tokens: Array, targets: Array
    ) -> tuple[Array, tuple[Array, Array, Array]]:
        """Return the loss; the last states, (layers, bs, hidden); BatchNorm's mean and variance.

        ``tokens`` and ``targets`` are (steps, bs).
        """
        last, x = [], None
        for layer in range(self.layers):
            weight, bias = weights[f"weight_ih_l{layer}"], weights[f"bias_ih_l{layer}"]
            if x is None:
                projected = self.project(weights["i_h.weight"], weight, bias, tokens)
            else:
                projected = x @ weight.T + bias
            h_last, x = self.recurrence(weights, layer, h[layer], projected)
            last.append(h_last)
        mean, variance = x.mean((0, 1)), x.var((0, 1))
        x_hat = (x - mean) * jax.lax.rsqrt(variance + BATCH_NORM_EPS)
        normalised = x_hat * weights["bn.weight"] + weights["bn.bias"]
        scores = jax.nn.log_softmax(normalised @ weights["h_o.weight"].T + weights["h_o.bias"])
        chosen = jnp.take_along_axis(scores, targets[..., None], axis=2)
        return -chosen.mean(), (jnp.stack(last), mean, variance)

    def recurrence(
        self, weights: Weights, layer: int, h: Array, projected: Array
    ) -> tuple[Array, Array]:
        """Return the last state, (bs, hidden), and all states, (steps, bs, hidden)."""
        weight, bias = weights[f"weight_hh_l{layer}"].T, weights[f"bias_hh_l{layer}"]

        def step(h: Array, x: Array) -> tuple[Array, Array]:
            x_r, x_z, x_n = jnp.split(x, 3, axis=-1)
            h_r, h_z, h_n = jnp.split(h @ weight + bias, 3, axis=-1)
            r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
            n = jnp.tanh(x_n + r * h_n)
            h = n + z * (h - n)
            return h, h

        return jax.lax.scan(step, h, projected, unroll=self.unroll)

    def step(
        self, state: State, tokens: Array, targets: Array, factors: Array
    ) -> tuple[State, Array]:
        """Return the next state and the loss; ``factors`` are a row of ``factors_of_steps``."""
        decay, added, step_size, root_correction = factors
        both = jax.value_and_grad(self.loss, has_aux=True)
        (loss, (h, mean, variance)), gradients = both(state["weights"], state["h"], tokens, targets)
        tree_map = jax.tree.map
        means = tree_map(lambda m, g: m + added * (g - m), state["means"], gradients)
        squares = tree_map(
            lambda s, g: BETAS[1] * s + (1 - BETAS[1]) * g * g, state["squares"], gradients
        )
        weights = tree_map(
            lambda w, m, s: w * decay + step_size * m / (jnp.sqrt(s) / root_correction + EPS),
            state["weights"],
            means,
            squares,
        )
        running = tree_map(
            lambda kept, new: kept + MOMENTUM * (new - kept),
            state["running"],
            (mean, variance * tokens.size / (tokens.size - 1)),
        )
        return {
            "weights": weights, "means": means, "squares": squares, "running": running, "h": h,
        }, loss  # fmt: skip


class Data:
    """The batches, factors and initial weights of a model's ``SEEDS`` seeds, for both."""

    def __init__(self, name: str, dtype: str) -> None:
        self.variant = VARIANTS[name]
        models = [initial_model(name, seed).to(DTYPES[dtype]) for seed in range(SEEDS)]
        self.parameters = Parameters(models)
        self.bs, self.hidden = models[0].batch_size, models[0].hidden_size
        self.ensemble: EnsembleModel = ensemble_model(self.parameters, self.variant)
        stream = list(language_model_data(self.variant.bptt, self.bs).train)
        self.batches: list[Batch] = prepare(
            stream, self.ensemble.layout, seeds=SEEDS, dtype=DTYPES[dtype]
        )
        self.pairs = [tuple(jnp.asarray(part.t().numpy()) for part in pair) for pair in stream]
        flat = self.parameters.flat_weights
        self.factors = factors_of_steps(self.variant, len(stream), len(stream), flat)

    def weights(self) -> dict[str, Array]:
        """Return the weights, each (S, *shape)."""
        return {name: jnp.array(w.numpy()) for name, w in self.parameters.weights.items()}

    def states(self) -> State:
        """Return the state of all seeds before the first step; the first axis is the seed."""
        weights = self.weights()
        dtype = weights["bn.weight"].dtype
        zeros = jax.tree.map(jnp.zeros_like, weights)
        running = jnp.zeros((SEEDS, self.hidden), dtype), jnp.ones((SEEDS, self.hidden), dtype)
        h = jnp.zeros((SEEDS, self.variant.num_layers, self.bs, self.hidden), dtype)
        means, squares = (jax.tree.map(jnp.copy, zeros) for _ in range(2))
        return {
            "weights": weights, "means": means, "squares": squares, "running": running, "h": h,
        }  # fmt: skip

    def programs(self) -> Iterator[tuple[str, Program]]:
        """Return every program of the model, with what is special about it."""
        for project, unroll in product((embedding_first, vocabulary_first), UNROLLS):
            label = f"{project.__name__}, unroll={unroll}"
            yield label, Program(self.variant.num_layers, project, unroll)


def check(name: str) -> float:
    """Return how far losses and gradients of both are apart, relative to the largest; in float64.

    Raises SystemExit if they differ by more than rounding.
    """
    data = Data(name, "float64")
    losses = data.ensemble.train(data.batches[0]).numpy()
    state, worst = data.states(), 0.0
    for label, program in data.programs():
        both = jax.jit(jax.vmap(jax.value_and_grad(program.loss, has_aux=True), (0, 0, None, None)))
        (found, _), gradients = both(state["weights"], state["h"], *data.pairs[0])
        pairs = [(np.asarray(found), losses)]
        for parameter, gradient in gradients.items():
            pairs.append((np.asarray(gradient), data.parameters.gradients[parameter].numpy()))
        largest = max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs)
        if not largest < TOLERANCE:
            raise SystemExit(f"{name}, {label}: JAX and the ensemble differ by {largest:.1e}")
        worst = max(worst, float(largest))
    return worst


def ensemble_steps(data: Data) -> Callable[[], None]:
    """Return a function that does ``STEPS`` steps of all seeds with the ensemble."""
    step: Step = stepper(data.ensemble, AdamW(data.parameters))

    @torch.no_grad()
    def steps() -> None:
        for batch, factors in islice(zip(data.batches, data.factors, strict=True), STEPS):
            step(batch, factors)

    return steps


def jax_steps(data: Data, program: Program, *, at_once: bool) -> Callable[[], None]:
    """Return the same for JAX, with all seeds at once, or with one seed after the other."""
    step = jax.vmap(program.step, (0, None, None, None)) if at_once else program.step
    compiled = jax.jit(step, donate_argnums=0)
    factors = [jnp.asarray(row.numpy()) for row in data.factors[:STEPS]]
    states = [data.states()]
    if not at_once:
        states = [jax.tree.map(itemgetter(seed), states[0]) for seed in range(SEEDS)]

    def steps() -> None:
        for seed in range(len(states)):
            for pair, row in zip(data.pairs, factors, strict=False):
                states[seed], _ = compiled(states[seed], *pair, row)
            jax.block_until_ready(states[seed])

    return steps


def milliseconds(steps: Callable[[], None]) -> float:
    """Return the milliseconds of one step of one seed."""
    start = time.process_time()
    steps()
    return (time.process_time() - start) * 1e3 / (STEPS * SEEDS)


def fastest(data: Data, *, at_once: bool) -> tuple[str, Callable[[], None]]:
    """Return the fastest program of JAX, by the median of a few rounds, with its name."""
    candidates = {
        label: jax_steps(data, program, at_once=at_once) for label, program in data.programs()
    }
    for steps in candidates.values():
        steps()
    rounds = [{label: milliseconds(s) for label, s in candidates.items()} for _ in range(5)]
    best = min(candidates, key=lambda label: statistics.median(each[label] for each in rounds))
    return best, candidates[best]


def compare(name: str, rounds: int) -> list[str]:
    """Return a row of the table for every case."""
    data = Data(name, "float32")
    cases = {THE_ENSEMBLE: ensemble_steps(data)}
    for at_once in (False, True):
        label, steps = fastest(data, at_once=at_once)
        kind = f"`vmap`, {SEEDS} seeds at once" if at_once else "one seed at a time"
        cases[f"JAX, {kind} ({label})"] = steps
    samples: dict[str, list[float]] = {label: [] for label in cases}
    for number in range(rounds):
        for label in list(cases)[:: 1 if number % 2 else -1]:
            samples[label].append(milliseconds(cases[label]))
    rows = []
    for label, values in samples.items():
        ratios = [a / b for a, b in zip(values, samples[THE_ENSEMBLE], strict=True)]
        low, middle, high = np.quantile(ratios, (0.05, 0.5, 0.95))
        rows.append(
            f"| {name} | {label} | {statistics.median(values):.2f} | {middle:.2f} "
            f"| {low:.2f} to {high:.2f} |"
        )
    return rows


def rates(rows: int, inner: int, columns: int) -> tuple[float, float]:
    """Return the GFLOP/s of torch and of JAX in products of that size, one for each seed."""
    generator = np.random.default_rng(0)
    x, w = (
        generator.standard_normal((SEEDS, *shape)).astype(np.float32)
        for shape in ((rows, inner), (inner, columns))
    )
    tensors, arrays = (torch.from_numpy(x), torch.from_numpy(w)), (jnp.asarray(x), jnp.asarray(w))
    out = torch.empty(SEEDS, rows, columns)
    many = jax.jit(jnp.matmul)
    best = {}
    for label, call in (
        ("torch", lambda: torch.bmm(*tensors, out=out)),
        ("jax", lambda: many(*arrays).block_until_ready()),
    ):
        call()
        seconds = []
        for _ in range(20):
            start = time.process_time()
            for _ in range(20):
                call()
            seconds.append((time.process_time() - start) / 20)
        best[label] = 2 * SEEDS * rows * inner * columns / min(seconds) / 1e9
    return best["torch"], best["jax"]


def main() -> None:
    """Compare both, and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40, help="default: %(default)s")
    parser.add_argument("--core", type=int, help="default: the last one of the process")
    arguments = parser.parse_args()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores) if arguments.core is None else arguments.core})
    # XLA reads its flags when the first array is made.
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"
    torch.set_num_threads(1)
    jax.config.update("jax_enable_x64", val=True)
    jax.config.update("jax_platforms", "cpu")
    worst = max(check(name) for name in MODELS)
    print(f"JAX {jax.__version__}, torch {torch.__version__}; in float64 they agree to {worst:.1e}")
    print("| model | training step | ms per seed | ratio | 90% of rounds |")
    print("| :-- | :-- | --: | --: | --: |")
    for name in MODELS:
        for row in compare(name, arguments.rounds):
            print(row, flush=True)
    print("| products, one for each seed | torch, GFLOP/s | JAX, GFLOP/s |")
    print("| :-- | --: | --: |")
    for sizes in PRODUCTS:
        of_torch, of_jax = rates(*sizes)
        print(f"| {' x '.join(map(str, sizes))} | {of_torch:.0f} | {of_jax:.0f} |")


if __name__ == "__main__":
    main()
