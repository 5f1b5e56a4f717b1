"""One run: variant, backend and seed in, record out."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import hnrnn
from bench import runner
from bench.records import DIVERGED, FAILED, OK, Record, run_id
from bench.runner import execute
from hnrnn.training import Training
from tests.conftest import small_run


def test_record_is_the_training(records: list[Record]) -> None:
    """The epochs of a record are those that ``hnrnn.train`` gives for the same seed."""
    record = records[2]
    table = hnrnn.train("Model5", seed=0, epochs=1)
    assert record.outcome.status == OK
    for column in table.columns:
        assert [getattr(epoch, column) for epoch in record.epochs] == list(table[column])


def test_record_is_complete(records: list[Record]) -> None:
    """Identity, times, throughput and hashes are there."""
    record = records[0]
    outcome = record.outcome
    assert record.run_id == run_id(record.run, record.environment)
    assert record.environment.deterministic_algorithms
    assert outcome.kernel == "ATen"
    assert outcome.started_at < outcome.ended_at
    assert outcome.train_seconds is not None
    assert outcome.train_tokens_per_second == pytest.approx(40 * 64 * 20 / outcome.train_seconds)
    assert outcome.total_seconds > outcome.train_seconds
    assert outcome.initial_weights_sha256 != outcome.weights_sha256


def test_same_run_same_bits(records: list[Record]) -> None:
    """The same run again ends in the same weights; another seed in others."""
    again = execute(records[0].run)
    assert again.run_id == records[0].run_id
    assert again.outcome.weights_sha256 == records[0].outcome.weights_sha256
    assert again.outcome.weights_sha256 != records[1].outcome.weights_sha256


def test_failed_run_is_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in the training is recorded with its kind and message."""

    def broken(*_: object, **__: object) -> Training:
        raise RuntimeError("planted")

    monkeypatch.setattr(runner, "fit", broken)
    threads = torch.get_num_threads()
    record = execute(small_run())
    assert record.outcome.status == FAILED
    assert record.outcome.error == "RuntimeError: planted"
    assert record.epochs == ()
    assert torch.get_num_threads() == threads


def test_interrupt_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is not taken for a failed run."""

    def interrupted(*_: object, **__: object) -> Training:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(small_run())


def test_diverged_run_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that is no finite number marks the run, and its epochs are kept."""
    fit = runner.fit

    def diverging(*arguments: object, **options: object) -> Training:
        training = fit(*arguments, **options)  # type: ignore[arg-type]
        history = training.history.assign(valid_loss=float("nan"))
        return dataclasses.replace(training, history=history)

    monkeypatch.setattr(runner, "fit", diverging)
    record = execute(small_run())
    assert record.outcome.status == DIVERGED
    assert len(record.epochs) == 1


@pytest.mark.parametrize(
    ("variant", "device", "kernel"),
    [
        ("Model5", "cpu", "ATen"),
        ("Model5", "cuda", "cuDNN"),
        ("Model6", "cuda", "Python loop over ATen"),
    ],
)
def test_kernel(variant: str, device: str, kernel: str) -> None:
    """The kernel is called what it is: nn.GRU on a CPU is not cuDNN."""
    assert runner.kernel(small_run(variant, device=device)) == kernel
