"""The instruction set and the fingerprint of a machine's rounding."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from bench.execution import fingerprint
from bench.execution.environment import reproducible_settings
from bench.execution.fingerprint import instruction_set, numeric_fingerprint
from bench.execution.runner import execute
from tests.conftest import small_run

PROGRAM = """
import json, sys
from bench.verification.kinds import KINDS
from bench.verification.measurement import train

rows = train(KINDS[sys.argv[1]], {"Model1": [0]}, 1, "cpu")
from tests.bench.execution.test_fingerprint import of_a_run

print(json.dumps([*rows["instruction_set"], *of_a_run()]))
"""


def of_a_run() -> list[str | None]:
    """Return a run's instruction set, fingerprint and final weights."""
    record = execute(small_run("Model4"))
    found = record.environment
    return [found.instruction_set, found.numeric_fingerprint, record.outcome.weights_sha256]


@pytest.mark.slow
def test_same_bits_same_fingerprint() -> None:
    """The fingerprint differs where the weights of a training do, and nowhere else.

    A kind's environment variables take effect where its training loads torch, so each kind is a
    process of its own.
    """
    processes = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, kind], stdout=subprocess.PIPE)
        for kind in ("aten_default", "mkl_compatible")
    ]
    plain = of_a_run()
    printed = [json.loads(process.communicate()[0]) for process in processes]
    (measured, *default), (_, *compatible) = printed
    found = [plain, default, compatible]
    assert measured == default[0] == "DEFAULT"
    weights_of: dict[str, set[str]] = {}
    for _, print_of_it, weights in found:
        weights_of.setdefault(print_of_it, set()).add(weights)
    assert all(len(weights) == 1 for weights in weights_of.values())
    assert len(weights_of) == len({weights for *_, weights in found})
    if torch.backends.cpu.get_cpu_capability() != "DEFAULT":
        assert default[1] != plain[1]


def test_fingerprint_is_of_this_process() -> None:
    """It is the same at every call, whatever the caller has set, and short."""
    with reproducible_settings():
        first = numeric_fingerprint("cpu")
        fingerprint._fingerprint.cache_clear()
        assert numeric_fingerprint("cpu") == first
    fingerprint._fingerprint.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
            assert numeric_fingerprint("cpu") == first
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(first) == 16


def test_every_operation_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bit that differs in any result is another fingerprint."""
    results = fingerprint._results
    with reproducible_settings():
        count = len(list(results(torch.float64, "cpu")))
        found = {numeric_fingerprint("cpu")}
        for changed in range(count):

            def with_a_bit(
                dtype: torch.dtype, device: str, changed: int = changed
            ) -> list[torch.Tensor]:
                tensors = list(results(dtype, device))
                first = tensors[changed].flatten()[:1]
                first.copy_(torch.nextafter(first, first + 1))
                return tensors

            monkeypatch.setattr(fingerprint, "_results", with_a_bit)
            fingerprint._fingerprint.cache_clear()
            found.add(numeric_fingerprint("cpu"))
    fingerprint._fingerprint.cache_clear()
    assert len(found) == count + 1


def test_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is torch's word on a CPU, and the compute capability on a GPU."""
    assert instruction_set("cpu") == torch.backends.cpu.get_cpu_capability()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    assert instruction_set("cuda") == "sm_90"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_fingerprint_of_a_gpu() -> None:
    """It is computed on the GPU: another hash than the CPU's, the same at every call."""
    with reproducible_settings():
        first = numeric_fingerprint("cuda")
        fingerprint._fingerprint.cache_clear()
        assert numeric_fingerprint("cuda") == first != numeric_fingerprint("cpu")
