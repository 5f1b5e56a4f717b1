"""One run: variant, backend and seed in, record out."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import hnrnn
from bench.backends.nn_no_cudnn import NNNoCuDNN
from bench.execution import fitting, runner
from bench.execution.parity import Parity
from bench.execution.runner import execute, execute_many
from bench.execution.sources import environment_of
from bench.store.records import (
    DIVERGED,
    ENSEMBLE,
    FAILED,
    OK,
    SKIPPED,
    Record,
    Run,
    run_id,
)
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
        raise RuntimeError("injected")

    monkeypatch.setattr(runner, "fit_run", broken)
    threads = torch.get_num_threads()
    record = execute(small_run())
    assert record.outcome.status == FAILED
    assert record.outcome.error == "RuntimeError: injected"
    assert record.epochs == ()
    assert torch.get_num_threads() == threads


def test_device_fault_is_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that leaves the device unusable passes through: this process is of no use."""

    def broken(*_: object, **__: object) -> Training:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(runner, "fit_run", broken)
    monkeypatch.setattr(runner, "device_works", lambda _: False)
    with pytest.raises(runner.DeviceFaultError, match="device-side assert"):
        execute(small_run())


def test_interrupt_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is not taken for a failed run."""

    def interrupted(*_: object, **__: object) -> Training:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "fit_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(small_run())


def test_diverged_run_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that is no finite number marks the run, and its epochs are kept."""
    fit_run = runner.fit_run

    def diverging(*arguments: object, **options: object) -> Training:
        training = fit_run(*arguments, **options)  # type: ignore[arg-type]
        history = training.history.assign(valid_loss=float("nan"))
        return dataclasses.replace(training, history=history)

    monkeypatch.setattr(runner, "fit_run", diverging)
    record = execute(small_run())
    assert record.outcome.status == DIVERGED
    assert len(record.epochs) == 1


def test_backends_start_alike() -> None:
    """The same seed has the same initial weights on every backend, and nearly the same epoch."""
    runs = {name: execute(small_run("Model6", backend=name)) for name in ("nn", "cell", "custom")}
    assert {record.outcome.kernel for record in runs.values()} == {"ATen", "Python loop over ATen"}
    assert len({record.outcome.initial_weights_sha256 for record in runs.values()}) == 1
    losses = [record.epochs[0].valid_loss for record in runs.values()]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-3)
    assert len({record.run_id for record in runs.values()}) == 3


def test_skipped_run_is_a_record() -> None:
    """A backend that cannot run here is recorded with what it would need."""
    record = execute(small_run("Model5", backend="graphed"))
    assert record.outcome.status == SKIPPED
    assert record.outcome.error == "graphed needs a GPU: a CPU has no CUDA graphs"
    assert record.epochs == ()


def test_unequal_backend_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the parity gate is shut, nothing is trained, and the record says what is unequal."""
    wrong = Parity(1.0, 1.0, None, ("outputs is 1.0 from the reference",))
    monkeypatch.setattr(runner, "check", lambda *_: wrong)
    runner.check_parity.cache_clear()
    record = execute(small_run("Model5", backend="cell"))
    runner.check_parity.cache_clear()
    assert record.outcome.status == FAILED
    assert record.outcome.error == "ParityError: outputs is 1.0 from the reference"
    assert record.epochs == ()


def test_settings_of_a_backend_hold_during_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend's flags are set while it trains, and put back after an exception."""
    seen = []

    def broken(*_: object, **__: object) -> Training:
        seen.append(torch.backends.cudnn.enabled)
        raise RuntimeError("injected")

    monkeypatch.setattr(fitting, "fit", broken)
    monkeypatch.setattr(runner, "check_parity", lambda *_: None)
    monkeypatch.setattr(NNNoCuDNN, "why_unavailable", lambda *_: None)
    execute(small_run("Model5", backend="nn_no_cudnn"))
    assert seen == [False]
    assert torch.backends.cudnn.enabled


def ensemble_runs(*seeds: int) -> list[Run]:
    """Return short runs of the ensemble, which differ in their seed."""
    return [small_run(seed=seed, backend=ENSEMBLE) for seed in seeds]


def test_ensemble_records_are_those_of_single_runs() -> None:
    """They differ from the notebook's backend in backend, kernel, code and id, and by rounding."""
    runs = ensemble_runs(0, 1)
    records = execute_many(runs)
    assert [record.run for record in records] == runs
    for record in records:
        alone = execute(dataclasses.replace(record.run, backend="nn"))
        assert record.outcome.initial_weights_sha256 == alone.outcome.initial_weights_sha256
        assert record.outcome.kernel == "ATen over all seeds, own backward"
        assert record.run_id == run_id(record.run, record.environment) != alone.run_id
        assert record.environment == environment_of(record.run, alone.environment)
        assert record.outcome.status == OK
        for epoch, other in zip(record.epochs, alone.epochs, strict=True):
            assert (epoch.run_id, epoch.backend) == (record.run_id, ENSEMBLE)
            assert epoch.train_loss == pytest.approx(other.train_loss, rel=1e-5)
            assert epoch.valid_loss == pytest.approx(other.valid_loss, rel=1e-4)
    # A seed's weights do not depend on the others that it is trained with.
    assert execute(runs[1]).outcome.weights_sha256 == records[1].outcome.weights_sha256


def test_failed_ensemble_is_a_record_per_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in an ensemble's training is recorded for each of its runs."""

    def broken(*_: object, **__: object) -> list[Training]:
        raise RuntimeError("injected")

    monkeypatch.setattr(runner, "fit_runs", broken)
    records = execute_many(ensemble_runs(4, 2))
    assert [record.run.seed for record in records] == [4, 2]
    assert {record.outcome.error for record in records} == {"RuntimeError: injected"}
    assert {record.outcome.kernel for record in records} == {None}


def test_an_ensemble_passes_the_gate_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ensemble that computes something else is not trained, and its records say what differs."""
    monkeypatch.setattr("bench.ensemble.models.EveryToken._keep_state", lambda _: None)
    runner.check_parity.cache_clear()
    record, _ = execute_many([small_run("Model6", seed, backend=ENSEMBLE) for seed in (0, 1)])
    runner.check_parity.cache_clear()
    assert record.outcome.status == FAILED
    error = str(record.outcome.error)
    assert error.startswith("ParityError: scores 1 of seed 0 is ")
    assert record.epochs == ()


def test_what_is_not_trained_together() -> None:
    """Runs that differ in more than their seed are refused, as are several of another backend."""
    one, two = ensemble_runs(0, 1)
    with pytest.raises(ValueError, match="may differ only in their seed"):
        execute_many([one, dataclasses.replace(two, epochs=two.epochs + 1)])
    with pytest.raises(ValueError, match="nn trains one seed at a time, not 2"):
        execute_many([small_run(seed=seed) for seed in (0, 1)])
