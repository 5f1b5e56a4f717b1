"""The code that decides a run's numbers: the list of its modules, and a hash of their meaning.

``tests/bench/execution/test_sources.py`` compares the lists with what a training imports.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

import hnrnn
from bench.plan.grid import BACKENDS
from bench.store.records import Environment, Run

PACKAGES = ("bench", "hnrnn")


def _modules(package: str, names: str) -> tuple[str, ...]:
    return tuple(f"{package}.{name}" for name in names.split())


LEARNER_MODULES: tuple[str, ...] = (
    "bench.backends",
    *_modules("bench.backends", "cell compiled cuda_graph custom custom_hoisted graphed"),
    *_modules("bench.backends", "hoisted_layers implementation nn nn_no_cudnn recurrence"),
    "bench.execution.fitting",
    *_modules("hnrnn", "cells metrics models optimizer settings stream training v1_learner"),
    *_modules("hnrnn", "variants vocab weights"),
)
"""The modules that train every run; the ensemble shares its models and settings with them."""
FAULT_MODULES = _modules("bench.execution", "fault_callbacks fault_injection")
"""The modules that train a run with an injected fault."""
ENSEMBLE_MODULES = (
    "bench.ensemble",
    *_modules("bench.ensemble", "batches chunks cross_entropy dispatch elman gru in_place kernels"),
    *_modules("bench.ensemble", "models normalisation optimizer parameters projection"),
    *_modules("bench.ensemble", "stepping training"),
)
TRAINING_MODULES = (*LEARNER_MODULES, *FAULT_MODULES, *ENSEMBLE_MODULES)

LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "bench": "names what is public",
        "bench.errors": "has only exceptions",
        "bench.execution": "has only a docstring",
        "bench.plan": "has only a docstring",
        "bench.store": "has only a docstring",
        "bench.execution.environment": "reads what is recorded; the threads are part of the id",
        "bench.plan.faults": "names and describes faults; fault_injection does them",
        "bench.execution.fingerprint": "computes what is part of the id",
        "bench.plan.grid": "names and describes backends",
        "bench.execution.availability": "says what can run here, and names the kernel",
        "bench.execution.ensemble_parity": "decides whether the ensemble may train",
        "bench.execution.parity": "decides whether a backend may train, not what it computes",
        "bench.store.records": "names and keeps the results",
        "bench.execution.runner": "records the time and status of trainings",
        "bench.execution.sources": "makes the hash",
        "hnrnn": "names what is public, and the version",
        "hnrnn.exports": "imports names when they are first used",
        "hnrnn.archives": "unpacks a copy of the text, which must equal the generated one",
        "hnrnn.corpus": "the hash of its text is part of the id",
        "hnrnn.text": "makes messages",
    }
)
"""Modules that a training imports, and why they do not decide its numbers."""

NO_MEANING = ("kind", "type_comment", "type_ignores")
"""Fields of the syntax tree that do not change what the code does."""


@cache
def source_sha256(*, faulty: bool = False, joint: bool = False) -> str:
    """Return the digest of the meaning of all modules that train a run."""
    modules = LEARNER_MODULES + FAULT_MODULES * faulty + ENSEMBLE_MODULES * joint
    digest = hashlib.sha256()
    for name, path in sorted((short_name(module), path_of(module)) for module in modules):
        digest.update(f"{name} {meaning(path.read_bytes())}\n".encode())
    return digest.hexdigest()


def environment_of(run: Run, environment: Environment) -> Environment:
    """Return the environment of a run, from that of runs that are trained one at a time.

    Only ``source_sha256`` may differ, because other code trains an ensemble.
    """
    if not BACKENDS[run.backend].joint:
        return environment
    digest = source_sha256(faulty=run.injected_fault is not None, joint=True)
    return replace(environment, source_sha256=digest)


def path_of(module: str) -> Path:
    """Return the file of a module of this project, without importing it."""
    path = Path(hnrnn.__file__).parent.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def short_name(module: str) -> str:
    """Return a module's package and own name, such as ``bench.cell``."""
    return f"{module.partition('.')[0]}.{module.rpartition('.')[2]}"


def meaning(source: bytes | str) -> str:
    """Return the syntax tree of ``source`` as text, without what has no effect.

    Unlike ``ast.dump``, it leaves out every field that is empty, so that it is the same in all
    versions of Python, and strings that stand alone, such as docstrings. Imports are sorted and
    name this project's modules by ``short_name``, so that a module can be moved.
    """
    return _of_node(ast.parse(source))


def _of_node(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):  # Python 3.12 ends some of them with an empty string
        parts = [part for part in node.values if _of_value(part) != "Constant(value='')"]
        return f"JoinedStr({_of_value(parts)})"
    fields = (
        f"{name}={_of_value(value)}"
        for name, value in ast.iter_fields(node)
        if name not in NO_MEANING and value is not None and value != []
    )
    return f"{type(node).__name__}({', '.join(fields)})"


def _of_value(value: object) -> str:
    if isinstance(value, ast.AST):
        return _of_node(value)
    if isinstance(value, list):
        return f"[{', '.join(_of_items(value))}]"
    return repr(value)


def _of_items(values: Iterable[object]) -> list[str]:
    """Return the items of a list as text: first its imports, sorted, then the rest."""
    imports, others = [], []
    for value in values:
        if isinstance(value, ast.Import | ast.ImportFrom):
            imports.append(_of_import(value))
        elif not isinstance(value, ast.Expr) or not _is_text(value.value):
            others.append(_of_value(value))
    return sorted(imports) + others


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _of_import(node: ast.Import | ast.ImportFrom) -> str:
    source = node.module if isinstance(node, ast.ImportFrom) else None
    if source and source.partition(".")[0] in PACKAGES:
        source = short_name(source)
    names = sorted(_of_node(alias) for alias in node.names)
    return f"{type(node).__name__}({source!r}, {', '.join(names)})"
