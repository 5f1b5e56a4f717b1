"""What an installed package has: its data and its commands; ``tests.wheel`` tries them out."""

from __future__ import annotations

import configparser
import tomllib
from fnmatch import fnmatch
from importlib import import_module
from importlib.metadata import EntryPoint

import pytest
import yaml

import hnrnn
from reports.runs import published_seeds
from reports.verdict import findings, judgement, rates, third_party
from tests.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_found() -> None:
    """A folder with modules in it is a package, and one that is installed."""
    patterns = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    for package in ("hnrnn", "bench", "reports"):
        for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
            name = ".".join(folder.relative_to(ROOT).parts)
            assert (folder / "__init__.py").is_file()
            assert any(fnmatch(name, pattern) for pattern in patterns)


def test_what_reports_read_is_packaged() -> None:
    """The findings, the published seeds and the measured rates are part of the package."""
    data = PROJECT["tool"]["setuptools"]["package-data"]
    packaged = {
        path
        for package, patterns in data.items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    measured = {rates.FOLDER / rates.NULLS, rates.FOLDER / rates.SHIFTED, rates.DETECTION}
    measured |= {third_party.FOLDER / third_party.RUNS, third_party.FOLDER / third_party.OWN_SEEDS}
    published = set(judgement.PUBLISHED_RUNS.glob("*/*.parquet"))
    published |= set(published_seeds.FOLDER.glob("*/*.parquet"))
    assert len(published) == 5
    assert packaged >= {findings.ACCEPTED_FILE, *measured, *published}


@pytest.mark.parametrize("package", ["hnrnn", "bench", "reports"])
def test_types_are_packaged(package: str) -> None:
    """A type checker that reads the installed package believes its annotations."""
    assert (ROOT / package / "py.typed").is_file()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"][package]


@pytest.mark.parametrize("package", ["hnrnn", "bench", "reports.statistics"])
def test_public_names(package: str) -> None:
    """Every public name is there, named once, and in order."""
    module = import_module(package)
    assert list(module.__all__) == sorted(set(module.__all__))
    assert all(hasattr(module, name) for name in module.__all__)


def test_citation() -> None:
    """What is to be cited is this version, under this licence."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == hnrnn.__version__
    assert citation["license"] == PROJECT["project"]["license"]


@pytest.mark.parametrize("name", PROJECT["project"]["scripts"])
def test_commands(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command is there, and speaks of itself by the name by which it was called."""
    entry = EntryPoint(name, PROJECT["project"]["scripts"][name], "console_scripts")
    main = entry.load()
    as_module = f"python -m {entry.module.removesuffix('.__main__')}"
    for called, program in ((f"/bin/{name}", name), ("/x/__main__.py", as_module)):
        monkeypatch.setattr("sys.argv", [called, "--help"])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: {program} [-h]")


def test_no_setting_of_tox_has_a_path() -> None:
    """The path of a clone may have spaces, at which pip splits what its variables say."""
    environments = configparser.ConfigParser(interpolation=None)
    environments.read(ROOT / "tox.ini")
    assert "PIP_CONSTRAINT = constraints.txt" in environments["testenv"]["set_env"]
    assert not any("{tox_root}" in s.get("set_env", "") for s in environments.values())
