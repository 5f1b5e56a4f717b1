"""Every configuration of the grid trained for an epoch, in some order, in one process.

``python -m tests.determinism DEVICE`` does so for all configurations that can run on ``cpu`` or
``cuda``: in two processes at once, in opposite orders, and then once more alone. It prints what
differs, and exits with 1 if anything does. Compiling takes minutes if nothing is compiled yet.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import torch

from bench.execution.availability import why_unavailable
from bench.execution.runner import execute
from bench.plan.grid import BACKENDS
from bench.store.records import Run
from hnrnn.variants import VARIANTS

SEED = 3


def configurations(device: str) -> list[str]:
    """Return the configurations that can run on a device, as ``Model5 nn``."""
    return [
        f"{variant.name} {backend.name}"
        for backend in BACKENDS.values()
        for variant in VARIANTS.values()
        if backend.executes(variant) and not why_unavailable(backend.name, device)
    ]


def train_all(names: Sequence[str], device: str) -> dict[str, str]:
    """Train configurations in turn; return what has to be bit-identical, by configuration.

    Whatever a run should not depend on is another before each: the states of all generators, and
    the number of threads.
    """
    results = {}
    for name in names:
        variant, backend = name.split()
        torch.manual_seed(int.from_bytes(os.urandom(4), "little"))
        np.random.seed(None)  # noqa: NPY002  # the global one, which fastai's parts may draw from
        random.seed()
        torch.set_num_threads(1 + len(results) % 3)
        record = execute(Run(variant, backend, SEED, "float32", "ones", device, epochs=1))
        assert record.outcome.error is None, f"{name}: {record.outcome.error}"
        (epoch,) = record.epochs
        losses = (epoch.train_loss.hex(), epoch.valid_loss.hex(), epoch.accuracy.hex())
        results[name] = " ".join((str(record.outcome.weights_sha256), *losses))
    torch.set_num_threads(1)
    return results


def start(names: Sequence[str], device: str) -> subprocess.Popen[str]:
    """Start a process of its own that trains configurations and prints the results."""
    # Sets of words have another order in each process; threads are set where torch is loaded.
    environment = os.environ | {"PYTHONHASHSEED": "random", "KMP_BLOCKTIME": "0"}
    environment |= {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    command = [sys.executable, "-m", "tests.determinism", device, *names]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def train_beside(names: Sequence[str], device: str) -> list[dict[str, str]]:
    """Return the results of another process and of this one, at once and in opposite orders."""
    with start(names, device) as process:
        ours = train_all(names[::-1], device)
        output = process.communicate()[0]
    assert process.returncode == 0
    return [json.loads(output), ours]


def differences(results: Sequence[dict[str, str]]) -> list[str]:
    """Return the configurations whose results are not bit-identical everywhere."""
    names = dict.fromkeys(name for result in results for name in result)
    return [name for name in names if len({r[name] for r in results if name in r}) > 1]


if __name__ == "__main__":
    device, *names = sys.argv[1:]
    if names:
        print(json.dumps(train_all(names, device)))
    else:
        names = configurations(device)
        shuffled = random.Random(0).sample(names, len(names))  # noqa: S311  # no secret
        results = [*train_beside(names, device), train_all(shuffled, device)]
        different = differences(results)
        print(f"{len(names)} configurations in 3 processes; different: {different or 'none'}")
        sys.exit(bool(different))
