"""Which code a run's id is made from, and what of that code counts."""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import hnrnn
from bench.execution.sources import (
    ENSEMBLE_MODULES,
    FAULT_MODULES,
    LEARNER_MODULES,
    LEFT_OUT,
    TRAINING_MODULES,
    environment_of,
    meaning,
    path_of,
    short_name,
    source_sha256,
)
from bench.store.records import ENSEMBLE
from tests.conftest import small_run
from tests.trainers import ENVIRONMENT

ON_A_GPU = ("bench.ensemble.kernels",)
"""Modules that are imported only where there is a GPU with Triton."""
ENSEMBLE_GATE = "bench.execution.ensemble_parity"
"""Left out as other gates are; only the ensemble imports it."""

TRAIN = """
import json, sys
from unittest.mock import patch
from bench.backends import IMPLEMENTATIONS
from bench.store.records import Run
from bench.execution.runner import execute

def run(backend, variant="Model4", **changes):
    return Run(variant, backend, 0, "float32", "ones", "cpu", 1, **changes)

def after(runs):
    errors = [execute(each).outcome.error for each in runs]
    assert errors == [None] * len(runs), errors
    return sorted(name for name in sys.modules if name.partition(".")[0] in ("bench", "hnrnn"))

runs = [run(name) for name in IMPLEMENTATIONS if name != "compiled"]
if IMPLEMENTATIONS["compiled"].why_unavailable("cpu") is None:
    runs.append(run("compiled", "Model1"))  # the quickest to compile
for name in ("nn_no_cudnn", "graphed", "graphed_loop"):
    patch.object(type(IMPLEMENTATIONS[name]), "why_unavailable", lambda *_: None).start()
learner = after(runs)
faulty = after([run("nn", injected_fault="weight_decay_0")])
ensemble = after([run("ensemble", "Model5")])
print(json.dumps([learner, faulty, ensemble]))
"""


@pytest.mark.slow
def test_modules_are_those_that_train() -> None:
    """Every module that a training imports is in the lists, or is left out for a reason.

    All backends are trained in a process of its own, those that need a GPU without their graphs.
    """
    command = [sys.executable, "-c", TRAIN]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    learner, faulty, ensemble = map(set, json.loads(result.stdout))
    assert learner == {*LEARNER_MODULES, *LEFT_OUT} - {ENSEMBLE_GATE}
    assert faulty - learner == set(FAULT_MODULES)
    assert (ensemble - faulty) | {*ON_A_GPU} == {*ENSEMBLE_MODULES, ENSEMBLE_GATE}


def test_modules_are_there() -> None:
    """Each is a file, and no two would be taken for one another."""
    assert all(path_of(module).is_file() for module in TRAINING_MODULES)
    assert len({short_name(module) for module in TRAINING_MODULES}) == len(TRAINING_MODULES)


CODE = '''
"""Docstring."""
import os
from hnrnn.cells import GRUCell

class Kept:
    """Another."""
    size: int = 3
    """Of something."""

def f(x, *, y=None):
    """One more."""
    return [x, f"{x!r:>{y}}", {**x, "a": None}] if y else None
'''
SAME = [
    CODE.replace("Another.", "Reworded."),
    CODE.replace("    size", "    # a comment\n    size").replace("[x, f", "[\n        x,\n  f"),
    CODE.replace("\n", "\r\n"),
    CODE.replace('"a"', "u'a'"),
    CODE.replace("hnrnn.cells", "hnrnn.room.cells"),
    CODE.replace(
        "import os\nfrom hnrnn.cells import GRUCell", "from hnrnn.a.cells import GRUCell\nimport os"
    ),
]
OTHER = [
    CODE.replace("size: int = 3", "size: int = 4"),
    CODE.replace("hnrnn.cells", "hnrnn.models"),
    CODE.replace("GRUCell", "GRUCell as Cell"),
    CODE.replace("y=None", "y=0"),
    CODE.replace("{**x, ", "{None: x, "),
    CODE.replace("else None", "else 'one'"),
    CODE.replace("import os", "import sys as os"),
]


@pytest.mark.parametrize("code", SAME)
def test_what_means_the_same(code: str) -> None:
    """Docstrings, comments, layout, line ends and a module's folder change nothing."""
    assert code != CODE
    assert meaning(code.encode()) == meaning(CODE.encode())


@pytest.mark.parametrize("code", OTHER)
def test_what_means_something_else(code: str) -> None:
    """A value, a name or an import that differs is seen."""
    assert meaning(code.encode()) != meaning(CODE.encode())


def test_meaning_is_that_of_every_python() -> None:
    """Fields that only some versions have are left out, and the text is known to the letter."""
    assert meaning("def f(): ...") == (
        "Module(body=[FunctionDef(name='f', args=arguments(), body=[Expr(value=Constant("
        "value=Ellipsis))])])"
    )
    assert hashlib.sha256(meaning(CODE).encode()).hexdigest()[:10] == "e58f034002"


def test_empty_end_of_a_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """The empty string with which Python 3.12 ends a nested format changes nothing."""
    tree = ast.parse(CODE)
    (spec,) = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)][1:]
    parts = [part for part in spec.values if getattr(part, "value", None) != ""]
    found = set()
    for end in ([], [ast.Constant("")]):
        spec.values = [*parts, *end]
        monkeypatch.setattr(ast, "parse", lambda _: tree)
        found.add(meaning(""))
    assert len(found) == 1


def test_what_an_id_depends_on() -> None:
    """An injected fault's code and the ensemble's are part of no other run's hash."""
    kinds = list(itertools.product((False, True), repeat=2))
    assert len({source_sha256(faulty=faulty, joint=joint) for faulty, joint in kinds}) == 4


def test_environment_of_a_run() -> None:
    """The ensemble's runs differ from a night's others in the hash of their code alone."""
    joint = environment_of(small_run(backend=ENSEMBLE), ENVIRONMENT)
    assert environment_of(small_run(), ENVIRONMENT) == ENVIRONMENT
    assert joint.source_sha256 == source_sha256(joint=True)
    faulty = small_run(backend=ENSEMBLE, injected_fault="weight_decay_0")
    found = environment_of(faulty, ENVIRONMENT).source_sha256
    assert found == source_sha256(faulty=True, joint=True)
    assert replace(joint, source_sha256=ENVIRONMENT.source_sha256) == ENVIRONMENT


def test_hash_of_changed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed line in any training module changes the hash, a comment in it does not."""
    for package in ("bench", "hnrnn"):
        shutil.copytree(path_of(package).parent, tmp_path / package)
    monkeypatch.setattr(hnrnn, "__file__", str(tmp_path / "hnrnn" / "__init__.py"))
    digest = source_sha256.__wrapped__
    found = [digest()]
    assert found[0] == source_sha256()
    for module in LEARNER_MODULES:
        with path_of(module).open("a") as file:
            file.write("# more\n")
    assert digest() == found[0]
    for module in LEARNER_MODULES:
        with path_of(module).open("a") as file:
            file.write("more = 1\n")
        found.append(digest())
    assert len(set(found)) == 1 + len(LEARNER_MODULES)
    with path_of("hnrnn.facts").open("a") as file:
        file.write("more = 1\n")
    assert digest() == found[-1]
