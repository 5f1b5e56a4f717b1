"""A night is trained: every run of a plan that its results folder does not hold yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.engines import LOCAL, find_engine, load_engine
from bench.engines.ledger import Ledger
from bench.engines.work import Display, Site, Trainer
from bench.errors import UsageError
from bench.execution.sources import environment_of
from bench.plan.grid import NOTEBOOK
from bench.plan.plan import MOST_JOBS, make_plan, whole_number
from bench.store.records import Run, run_id
from bench.store.store import Store
from hnrnn import corpus
from hnrnn.variants import VARIANTS


def run(
    *,
    variants: Iterable[str] = tuple(VARIANTS),
    backends: Iterable[str] = (NOTEBOOK,),
    seeds: int | Iterable[int] = 5,
    device: str = "auto",
    dtype: str = "float32",
    initialisation: str = "ones",
    epochs: int | None = None,
    injected_fault: str | None = None,
    engine: str = LOCAL,
    jobs: int | None = None,
    gpus_per_run: float | None = None,
    ray_address: str | None = None,
    fail_fast: bool = False,
    results: str | Path = "results",
    data: str | Path | None = None,
    display: Display | None = None,
) -> Store:
    """Train every variant on every backend with every seed, and return the store of the records.

        store = bench.run(variants=["Model4", "Model5"], backends=["nn", "cell"], seeds=3)
        store.read().epochs.groupby(["variant", "backend", "epoch"])["accuracy"].mean()

    The arguments are the options of ``python -m bench run``. ``seeds`` is a number of seeds from 0,
    or the seeds themselves; ``epochs`` ends each training early. Stored runs are not trained again,
    and a backend or fault that does not apply to a variant is left out. A run that fails raises
    nothing: its record has the status ``failed`` and the error.

    Raises UsageError for a wrong argument and StoreError for a folder that cannot be used, both
    before anything is trained, and ``bench.Halted`` if the night cannot go on.

    The workers import the main module: in a script, call this below ``if __name__ == "__main__":``.
    """
    jobs = None if jobs is None else whole_number("jobs", jobs, MOST_JOBS)
    asked = make_plan(
        variants=variants,
        backends=backends,
        seeds=seeds,
        dtype=dtype,
        initialisation=initialisation,
        device=device,
        epochs=epochs,
        injected_fault=injected_fault,
    )
    return train(
        lambda _: asked,
        device=device,
        injected_fault=injected_fault,
        engine=engine,
        jobs=jobs,
        gpus_per_run=gpus_per_run,
        ray_address=ray_address,
        fail_fast=fail_fast,
        results=results,
        data=data,
        display=display,
    )


def train(
    plan: Callable[[str], Sequence[Run]],
    *,
    device: str,
    injected_fault: str | None,
    engine: str,
    jobs: int | None,
    gpus_per_run: float | None,
    ray_address: str | None,
    fail_fast: bool,
    results: str | Path,
    data: str | Path | None,
    display: Display | None,
) -> Store:
    """Train what ``plan`` returns for the device that is found, as ``run`` does."""
    settings = find_engine(engine, gpus_per_run=gpus_per_run, ray_address=ray_address)
    _check(data)
    module = load_engine(engine)  # from here on torch is loaded
    site: Site = module.survey(device, injected_fault, **settings)
    site = replace(site, jobs=jobs or site.jobs)
    store = Store(results)
    store.prepare()
    missing = _missing(plan(site.device), site, store, display := display or Display())
    if missing:
        from bench.execution.environment import read_provenance

        provenance = read_provenance(site.device)
        ledger = Ledger(store, site.environment, provenance, fail_fast=fail_fast)
        options = {"jobs": site.jobs, "display": display, **settings}
        module.run_all(missing, Trainer(provenance), ledger, **options)
    return store


def _check(data: str | Path | None) -> None:
    """Raise UsageError if a copy of the corpus is given and is another text."""
    try:
        corpus.load(data)
    except corpus.CorpusError as error:
        raise UsageError(str(error)) from error


def _missing(asked: Sequence[Run], site: Site, store: Store, display: Display) -> list[Run]:
    """Return the runs, on the site's device, that are not finished; show how many they are."""
    planned = [replace(run, device=site.device) for run in asked]
    ids = {run: run_id(run, environment_of(run, site.environment)) for run in planned}
    finished = store.finished(ids.values())
    missing = [run for run in planned if ids[run] not in finished]
    display.begin(planned, missing, site, store.folder)
    return missing
