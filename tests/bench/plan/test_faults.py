"""The table of faults and controls."""

from __future__ import annotations

import pytest

from bench.execution.fault_injection import FAULTY_FITS
from bench.plan.faults import FAULTS, STATELESS
from hnrnn.models import build_model
from hnrnn.variants import VARIANTS


def test_every_fault_is_injected() -> None:
    """The table that needs no torch names what is faulty, and which are controls."""
    assert list(FAULTS) == list(FAULTY_FITS)
    assert [fault.name for fault in FAULTS.values() if fault.control] == [
        "threads_2",
        "reordered_sum",
    ]
    assert len(FAULTS) == 25


@pytest.mark.parametrize("name", VARIANTS)
def test_stateless_variants_are_named(name: str) -> None:
    """The variants that are said to keep no hidden state are those that keep none."""
    assert (name in STATELESS) != hasattr(build_model(name), "h")


def test_unavailable() -> None:
    """A fault is refused where it would change nothing, and nowhere else."""
    refused = {
        (fault.name, variant.name)
        for fault in FAULTS.values()
        for variant in VARIANTS.values()
        if fault.why_inapplicable(variant, variant.backend)
    }
    assert refused == {
        *(("state_reset", name) for name in ("Model0", "Model1", "Model2")),
        *(("bptt_70", name) for name in ("Model0", "Model1")),
        *(("gate_order", f"Model{number}") for number in range(5)),
        *(("state_of_other_layer", name) for name in VARIANTS if name != "Model5"),
    }
    for backend in ("graphed", "ensemble"):
        assert all(fault.why_inapplicable(VARIANTS["Model5"], backend) for fault in FAULTS.values())
