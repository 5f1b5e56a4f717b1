"""Settings, environment and provenance."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest
import torch

import hnrnn
from bench.errors import UsageError
from bench.execution import environment
from bench.execution.environment import (
    device_works,
    find_device,
    read_environment,
    reproducible_settings,
)
from bench.execution.sources import path_of
from tests.repositories import git


def settings() -> tuple[object, ...]:
    """Return what ``reproducible_settings`` sets."""
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
    )


def test_settings_are_set_and_restored() -> None:
    """Inside everything is reproducible; outside it is as before, after an exception too."""
    torch.backends.cudnn.allow_tf32 = True
    torch.set_num_threads(2)
    before = settings()

    def fails() -> None:
        with reproducible_settings():
            assert settings() == (True, 1, False, False)
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert settings() == before
    torch.set_num_threads(1)


def test_environment_says_what_is_set() -> None:
    """What is recorded is read back from torch, not assumed."""
    with reproducible_settings():
        inside = read_environment("cpu")
    outside = read_environment("cpu")
    assert (inside.threads, inside.deterministic_algorithms, inside.tf32) == (1, True, False)
    assert not outside.deterministic_algorithms
    assert inside.device_name
    assert inside.torch_version == torch.__version__
    assert inside.cuda_version is None
    assert inside.instruction_set == torch.backends.cpu.get_cpu_capability()
    assert inside.numeric_fingerprint == outside.numeric_fingerprint


def test_find_device() -> None:
    """``auto`` takes what is there; ``cuda`` without a GPU is answered with what would be right."""
    there = torch.cuda.is_available()
    assert find_device("auto") == ("cuda" if there else "cpu")
    assert find_device("cpu") == "cpu"
    if not there:
        with pytest.raises(UsageError, match="use --device cpu or auto"):
            find_device("cuda")


def test_provenance_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no git, the commit is unknown, and that is no error."""
    monkeypatch.setenv("PATH", "")
    provenance = environment.read_provenance("cpu")
    assert (provenance.commit, provenance.dirty) == (None, None)
    assert provenance.package_version == hnrnn.__version__


def test_processors_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform names the processor's family, model and stepping, which no id depends on."""
    words = "vendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n"
    monkeypatch.setattr(Path, "read_text", lambda _: f"{words}stepping\t: 1\n\n")
    found = environment.machine_facts("cpu")["platform"]
    assert found.endswith(", AuthenticAMD family 26 model 2 stepping 1")

    def fail(_: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", fail)
    assert environment.machine_facts("cpu")["platform"] == platform.platform()


def test_device_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU works unless waiting for it fails, as it does after an error that stays."""

    def fail() -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "synchronize", fail)
    assert device_works("cpu")
    assert not device_works("cuda")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert device_works("cuda")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with this project's code, from which its provenance is read."""
    folder = tmp_path / "checkout"
    for package in ("bench", "hnrnn"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(path_of(package).parent, folder / package, ignore=ignore)
    (folder / "README.md").write_text("Words.\n")
    (folder / ".gitignore").write_text("ignored/\n")
    monkeypatch.setattr(hnrnn, "__file__", str(folder / "hnrnn" / "__init__.py"))
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "All of it")
    return folder


def test_only_training_code_is_dirty(checkout: Path) -> None:
    """Results, notes and a README that differ leave the code as it was committed."""
    assert environment.read_commit() == (git(checkout, "rev-parse", "HEAD"), False)
    for name in ("README.md", "results/runs/a.parquet", "bench/notes.txt", "reports/judge.py"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("changed")
    (checkout / "bench" / "night.py").write_text("changed = True\n")
    assert environment.read_commit() == (git(checkout, "rev-parse", "HEAD"), False)
    for name in ("bench/backends/cell.py", "bench/execution/runner.py"):
        with (checkout / name).open("a") as file:
            file.write("# more\n")
        assert environment.read_commit() == (git(checkout, "rev-parse", "HEAD"), True)
        git(checkout, "checkout", "--", name)


@pytest.mark.parametrize("ignored", [False, True])
def test_untracked_training_code_is_dirty(checkout: Path, *, ignored: bool) -> None:
    """A module that trains and is in no commit is not the commit's."""
    git(checkout, "rm", "--quiet", "--cached", "bench/ensemble/gru.py")
    git(checkout, "commit", "--quiet", "--message", "Without it")
    if ignored:
        (checkout / ".gitignore").write_text("gru.py\n")
    assert environment.read_commit() == (git(checkout, "rev-parse", "HEAD"), True)


def test_repository_that_the_environment_names(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit is that of the code, whatever repository a git hook has set."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    git(other, "commit", "--quiet", "--allow-empty", "--message", "Another project")
    expected = (git(checkout, "rev-parse", "HEAD"), False)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert environment.read_commit() == expected


@pytest.mark.parametrize("ignored", [False, True])
def test_repository_around_the_package(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, *, ignored: bool
) -> None:
    """A repository that the package merely lies in, as in a virtual environment, is not its."""
    place = checkout / ("ignored" if ignored else "new") / "site-packages"
    shutil.copytree(checkout / "hnrnn", place / "hnrnn")
    monkeypatch.setattr(hnrnn, "__file__", str(place / "hnrnn" / "__init__.py"))
    assert environment.read_commit() == (None, None)
