"""The direction of imports, and what stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.places import ROOT

PACKAGES = ("hnrnn", "bench", "reports")
ROOMS = {
    "bench": (
        "errors text signals store backends plan ensemble execution engines night timing "
        "verification commands __main__ conftest test_throughput"
    ).split(),
    "reports": (
        "statistics runs documents verdict history figures pages commands __main__ ci api"
    ).split(),
}
"""The rooms of a package, and its modules beside them: an import goes to its own or one before."""


@cache
def imports() -> dict[str, set[str]]:
    """Return which modules of the project each of them imports, inside functions too."""
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }
    found: dict[str, set[str]] = {name: set() for name in files}
    for name, path in files.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = []
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                named = [full if full in files else node.module for full in inner]
            found[name] |= {module for module in named if module in files} - {name}
    return found


def room(module: str) -> str:
    """Return a module's room in its package; nothing for the package itself."""
    return module.split(".")[1] if "." in module else ""


def test_packages_import_only_those_before() -> None:
    """``hnrnn`` imports neither of the others, and ``bench`` nothing of ``reports``.

    The module ``hnrnn`` itself is the front door of the project: it names what ``reports.api``
    offers, for type checkers, and loads it when it is first used. No other module imports that.
    """
    order = {name: place for place, name in enumerate(PACKAGES)}
    assert [
        (module, other)
        for module, others in imports().items()
        for other in others
        if (module, other) != ("hnrnn", "reports.api")
        and order[other.split(".")[0]] > order[module.split(".")[0]]
    ] == []


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_only_those_before(package: str) -> None:
    """Every module is in a room that is known, and imports none of a room after its own.

    The package itself names what is public of them all.
    """
    places = {name: place for place, name in enumerate(ROOMS[package])} | {"": 0}
    ours = {name: others for name, others in imports().items() if name.startswith(package)}
    assert {room(module) for module in ours} <= set(places)
    assert [
        (module, other)
        for module, others in ours.items()
        for other in others
        if module != package and other in ours and places[room(other)] > places[room(module)]
    ] == []


def test_no_circle() -> None:
    """No two files import one another, however long the way."""
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {error.args[1]}")


def test_statistics_stand_alone() -> None:
    """They import nothing of the project but one another."""
    assert {
        other
        for module, others in imports().items()
        if module.startswith("reports.statistics.")
        for other in others
    } <= {module for module in imports() if module.startswith("reports.statistics.")}


def modules_after(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after ``statement``."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import hnrnn", {"torch", "fastai", "pandas"}),
        ("import hnrnn.published, hnrnn.variants", {"torch", "fastai"}),
        (
            "import bench.store.records, bench.store.store, bench.plan.plan, bench.plan.faults",
            {"torch", "fastai"},
        ),
        (
            "import bench.__main__, bench.engines.local, bench.engines.progress",
            {"torch", "fastai", "ray"},
        ),
        (
            "from reports.statistics import cusum, envelope, permutation, power, ranks, tolerance",
            {"torch", "fastai", "pandas", "matplotlib"},
        ),
        (
            "import reports.__main__, reports.pages.report, reports.figures.models",
            {"torch", "fastai", "bench.execution.runner", "bench.execution.environment"},
        ),
    ],
)
def test_what_is_loaded(statement: str, unwanted: set[str]) -> None:
    """What is called often, or installed without the rest, loads no more than it needs."""
    assert not modules_after(statement) & unwanted
