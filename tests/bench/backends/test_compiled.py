"""The compiled backend computes the same as the others, or says why it cannot."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from bench.backends import IMPLEMENTATIONS
from bench.backends.compiled import SWITCHES, Compiled, why_no_triton
from bench.commands import listing
from bench.ensemble.stepping import kernel_of
from bench.execution.parity import Sizes, float64_differences, model_quantities
from bench.execution.runner import execute
from bench.store.records import FAILED
from bench.timing.throughput import Effort, measure
from hnrnn.variants import VARIANTS, Recurrence
from tests.bench.backends.test_backends import failures
from tests.conftest import small_run

COMPILER_REASON = IMPLEMENTATIONS["compiled"].why_unavailable("cpu")
needs_compiler = pytest.mark.skipif(COMPILER_REASON is not None, reason=f"{COMPILER_REASON}")


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(
    ("kind", "sizes"),
    [("tanh", Sizes(batch=3, time=3, hidden=5)), ("gru", Sizes(batch=3, time=2, layers=2))],
)
def test_parity_of_compiled(kind: Recurrence, sizes: Sizes) -> None:
    """The compiled loop is held to the same; a few steps, for it is unrolled and slow to make."""
    assert failures(kind, "compiled", sizes, seed=0) == []


@pytest.mark.slow
@needs_compiler
def test_parity_of_a_compiled_model() -> None:
    """A whole forward with batch normalisation inside the loop is compiled to the same."""
    implementation = IMPLEMENTATIONS["compiled"]
    quantities = partial(
        model_quantities, VARIANTS["Model1"], dtype=torch.float64, device="cpu", batch_size=4
    )
    with implementation.settings():
        found = quantities(implementation)
    differences = float64_differences(quantities(IMPLEMENTATIONS["custom"]), found)
    assert [repr(d) for d in differences if not d.passed] == []


def test_what_triton_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a package, a C compiler or Python's headers the first kernel would fail."""
    found: dict[str, object] = {"triton": object(), "gcc": "/usr/bin/gcc", "INCLUDEPY": tmp_path}
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("bench.backends.compiled.find_spec", found.get)
    monkeypatch.setattr("bench.backends.compiled.shutil.which", found.get)
    monkeypatch.setattr("bench.backends.compiled.sysconfig.get_config_var", found.get)
    assert "headers" in str(why_no_triton())
    (tmp_path / "Python.h").touch()
    assert why_no_triton() is None
    assert kernel_of("cuda") == "CUDA graph over ATen and Triton over all seeds, own backward"
    del found["gcc"]
    assert "C compiler" in str(why_no_triton())
    assert kernel_of("cuda") == "CUDA graph over ATen over all seeds, own backward"
    monkeypatch.setenv("CC", "icx")
    assert why_no_triton() is None
    del found["triton"]
    assert "pip install triton" in str(IMPLEMENTATIONS["compiled"].why_unavailable("cuda"))
    assert kernel_of("cpu") == "ATen over all seeds, own backward"


def test_compiled_fails_where_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """With torch.compile switched off a run fails, names no kernel, and is not timed."""
    monkeypatch.setattr(Compiled, "why_unavailable", lambda *_: None)
    for name in SWITCHES:
        with monkeypatch.context() as patch:
            patch.setenv(name, "1")
            message = f"NotCompiledError: {name}=1 switches torch.compile off: unset it"
            outcome = execute(small_run("Model1", backend="compiled")).outcome
            assert (outcome.status, outcome.kernel, outcome.error) == (FAILED, None, message)
            effort = Effort(rounds=1, block_seconds=0.001, phases=())
            samples = measure(["Model1"], ["compiled"], effort, device="cpu", watch=print).samples
            ((timed, sample),) = samples
            assert (timed.status, timed.kernel, timed.error) == (FAILED, None, message)
            assert sample is None
            found = {
                configuration.backend: configuration
                for configuration in listing.configurations("cpu")
            }["compiled"]
            assert (found.runs_here, found.kernel) == (False, None)
            assert found.reason == message.removeprefix("NotCompiledError: ")
    with torch._dynamo.config.patch(disable=True):
        outcome = execute(small_run("Model1", backend="compiled")).outcome
    assert outcome.error == (
        "NotCompiledError: torch._dynamo.config.disable switches torch.compile off"
    )


@pytest.mark.parametrize("variant", ["Model1", "Model6"])
def test_compiled_sees_that_nothing_is_compiled(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that torch.compile did not compile, for whatever reason, does not run."""
    monkeypatch.setattr("bench.backends.compiled.SWITCHES", ())
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")
    monkeypatch.setattr(Compiled, "why_unavailable", lambda *_: None)
    outcome = execute(small_run(variant, backend="compiled")).outcome
    assert outcome.status == FAILED
    assert str(outcome.error).startswith("NotCompiledError: torch.compile did not compile ")


@pytest.mark.slow
@needs_compiler
def test_compiled_ignores_the_callers_stance() -> None:
    """A caller who has switched compiling off by a stance does not change a compiled run."""
    run = small_run("Model1", backend="compiled")
    with torch.compiler.set_stance("force_eager"):
        outcome = execute(run).outcome
    assert (outcome.error, outcome.kernel) == (None, "Inductor C++")
    assert outcome.weights_sha256 == execute(run).outcome.weights_sha256
    assert outcome.weights_sha256 != execute(small_run("Model1")).outcome.weights_sha256


def test_compiled_in_a_path_with_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inductor cannot handle a path with a space, so the backend is unavailable there."""
    monkeypatch.setattr(torch, "__path__", ["/a b/torch"])
    assert Compiled().why_unavailable("cpu") == (
        "cannot compile if torch is installed in a path with a space: /a b/torch"
    )


def test_compiled_ignores_the_callers_inductor() -> None:
    """Settings that change a program's bits are pinned, whatever the environment says."""
    config = torch._inductor.config
    usual = {name: getattr(config, name) for name in ("freezing", "max_autotune")}
    with config.patch({"cpp.enable_unsafe_math_opt_flag": True, "freezing": True}):
        with Compiled().settings():
            assert config.cpp.enable_unsafe_math_opt_flag is False
            assert {name: getattr(config, name) for name in usual} == usual
        assert config.cpp.enable_unsafe_math_opt_flag is True
