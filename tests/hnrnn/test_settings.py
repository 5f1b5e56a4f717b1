"""A training does not depend on the caller's torch settings, and restores them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pandas as pd
import pytest
import torch
from torch.overrides import TorchFunctionMode

import hnrnn
from bench.ensemble.training import fit_many
from bench.execution.parity import check
from hnrnn.settings import SettingsError, pinned_settings, tf32_allowed
from hnrnn.training import fit
from hnrnn.variants import VARIANTS
from hnrnn.weights import initial_model, weights_sha256


@contextmanager
def called(function: Callable[[Any], object], value: object, back: object) -> Iterator[None]:
    """Set something by a function of torch, and restore it at the end."""
    function(value)
    try:
        yield
    finally:
        function(back)


@contextmanager
def assigned(owner: Any, name: str, value: object) -> Iterator[None]:
    """Set an attribute, and restore it at the end."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


CALLERS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "nothing": ExitStack,
    "default dtype": lambda: called(torch.set_default_dtype, torch.float64, torch.float32),
    "default device": lambda: called(torch.set_default_device, "meta", None),
    "device context": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "matmul precision": lambda: called(torch.set_float32_matmul_precision, "medium", "highest"),
    "precision": lambda: assigned(torch.backends, "fp32_precision", "bf16"),
    "library's precision": lambda: assigned(torch.backends.mkldnn, "fp32_precision", "bf16"),
    "product's precision": lambda: assigned(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
    "warnings": lambda: called(torch.set_deterministic_debug_mode, "warn", "default"),
    "denormals": lambda: called(torch.set_flush_denormal, True, False),  # noqa: FBT003
    "cuDNN": lambda: assigned(torch.backends.cudnn, "enabled", value=False),
    "filling": lambda: assigned(torch.utils.deterministic, "fill_uninitialized_memory", value=True),
    "oneDNN": lambda: assigned(torch.backends.mkldnn, "enabled", value=False),
}
"""Settings that a caller may have changed, by name."""
if torch.version.cuda:  # a torch for the CPU has one library, and refuses to prefer another
    CALLERS["BLAS"] = lambda: called(
        torch.backends.cuda.preferred_blas_library, "cublaslt", "default"
    )


def readable(read: Callable[[], object]) -> object:
    """Return what ``read`` returns, or ``mixed`` if torch's precisions disagree."""
    try:
        return read()
    except RuntimeError:
        return "mixed"


def state() -> dict[str, object]:
    """Return the present state of everything that a training pins."""
    cuda, cudnn, mkldnn = torch.backends.cuda, torch.backends.cudnn, torch.backends.mkldnn
    owners: tuple[Any, ...] = (torch.backends, cudnn, mkldnn, cuda.matmul, cudnn.conv, cudnn.rnn)
    return {
        "new tensor": (torch.empty(0).dtype, torch.empty(0).device, torch.empty(0).is_inference()),
        "grad": torch.is_grad_enabled(),
        "autocast": [torch.is_autocast_enabled(device) for device in ("cpu", "cuda")],
        "deterministic": torch.get_deterministic_debug_mode(),
        "precisions": [owner.fp32_precision for owner in (*owners, mkldnn.matmul, mkldnn.rnn)],
        "matmul": readable(torch.get_float32_matmul_precision),
        "tf32": [readable(lambda: each.allow_tf32) for each in (cuda.matmul, cudnn)],  # noqa: B023
        "denormals": math.ulp(0.0) * 1.0 > 0,
        "libraries": (cudnn.enabled, mkldnn.enabled, cuda.preferred_blas_library()),
        "filling": torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        "workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    }


@pytest.fixture(scope="module")
def plain() -> pd.DataFrame:
    """Return the table of a short training with torch's default settings."""
    return hnrnn.train("Model4", seed=0, epochs=1)


@pytest.mark.parametrize("name", CALLERS)
def test_pinned_state(name: str) -> None:
    """Inside, every setting has its pinned value, whatever the caller has set."""
    with CALLERS[name](), pinned_settings():
        inside = state()
    assert inside.pop("libraries")[:2] == (True, True)  # type: ignore[index]
    assert inside == {
        "new tensor": (torch.float32, torch.device("cpu"), False),
        "grad": True,
        "autocast": [False, False],
        "deterministic": 2,
        "precisions": ["none"] * 3 + ["ieee"] + ["none"] * 2 + ["ieee", "none"],
        "matmul": "highest",
        "tf32": [False, False],
        "denormals": True,
        "filling": False,
        "workspace": ":4096:8",
    }


@pytest.mark.parametrize("name", CALLERS)
def test_caller_changes_nothing(name: str, plain: pd.DataFrame) -> None:
    """The caller's settings change no bit of the table, and are restored afterwards."""
    with CALLERS[name]():
        before = state()
        table = hnrnn.train("Model4", seed=0, epochs=1)
        assert state() == before
    pd.testing.assert_frame_equal(table, plain, check_exact=True)


def test_everything_at_once(plain: pd.DataFrame) -> None:
    """All settings together change nothing, neither for an ensemble nor for the parity gate."""
    ensemble = fit_many("Model4", seeds=[0, 1], epochs=1)[0]
    parity = check(VARIANTS["Model4"], "custom_hoisted", "cpu")
    with ExitStack() as stack:
        for setting in CALLERS.values():
            stack.enter_context(setting())
        table = hnrnn.train("Model4", seed=0, epochs=1)
        again = fit_many("Model4", seeds=[0, 1], epochs=1)[0]
        gate = check(VARIANTS["Model4"], "custom_hoisted", "cpu")
        weights = initial_model("Model4", 0).state_dict()
    pd.testing.assert_frame_equal(table, plain, check_exact=True)
    assert weights_sha256(again.model) == weights_sha256(ensemble.model)
    assert gate == parity
    for name, values in initial_model("Model4", 0).state_dict().items():
        assert torch.equal(weights[name], values)


def test_published_end() -> None:
    """With torch's default settings, a run ends at its known accuracy."""
    assert hnrnn.train("Model1", seed=0)["accuracy"].iloc[-1] == pytest.approx(0.467142, abs=5e-7)


def test_restored_after_an_exception() -> None:
    """After an exception, all settings are restored."""
    before = state()

    def fails() -> None:
        with pinned_settings():
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert state() == before
    with pytest.raises(ValueError, match="no parameter 'x'"):
        fit("Model4", seed=0, initial_weights={"x": [1.0]})
    assert state() == before


def test_inner_settings_hold() -> None:
    """A setting that a backend changes inside pinned settings holds in the training inside."""
    with pinned_settings(), assigned(torch.backends.cudnn, "enabled", value=False):
        with pinned_settings():
            assert not torch.backends.cudnn.enabled
        assert not torch.backends.cudnn.enabled
    with pinned_settings():
        assert torch.backends.cudnn.enabled


@pytest.mark.parametrize("name", CALLERS)
def test_tf32_is_allowed_inside_only(name: str) -> None:
    """TF32 is on inside ``tf32_allowed``, and off afterwards, also after an exception."""

    def fails() -> None:
        with tf32_allowed():
            assert state()["tf32"] == [True, True]
            raise KeyError

    with CALLERS[name](), pinned_settings():
        before = state()
        with pytest.raises(KeyError):
            fails()
        assert state() == before


class EverythingOnMeta(TorchFunctionMode):
    """Creates every new tensor on the meta device."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Replace the device."""
        del types
        changed = {"device": "meta"} if function is torch.empty else {}
        return function(*args, **((kwargs or {}) | changed))


def test_what_cannot_be_undone_is_refused() -> None:
    """If new tensors cannot be created on the CPU, one line says so, and nothing is trained."""
    with EverythingOnMeta(), pytest.raises(SettingsError) as caught:
        hnrnn.train("Model4", seed=0)
    assert str(caught.value) == (
        "torch creates new tensors on meta here, and a training cannot override that: "
        "train outside the mode that does it"
    )
