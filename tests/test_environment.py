"""Settings, environment and provenance."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import hnrnn
from bench import backends, environment
from bench.environment import (
    DeviceError,
    device_works,
    find_device,
    read_environment,
    reproducible_settings,
)


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


def test_find_device() -> None:
    """``auto`` takes what is there; ``cuda`` without a GPU is answered with what would be right."""
    there = torch.cuda.is_available()
    assert find_device("auto") == ("cuda" if there else "cpu")
    assert find_device("cpu") == "cpu"
    if not there:
        with pytest.raises(DeviceError, match="use --device cpu or auto"):
            find_device("cuda")


def test_source_digest_depends_on_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed line in a module that trains changes the digest; the facts command does not."""
    for package in (hnrnn, backends):
        folder = tmp_path / package.__name__.rpartition(".")[2]
        shutil.copytree(Path(str(package.__file__)).parent, folder)
    original = environment.source_sha256()

    def digest() -> str:
        environment.source_sha256.cache_clear()
        return environment.source_sha256()

    monkeypatch.setattr(hnrnn, "__file__", str(tmp_path / "hnrnn" / "__init__.py"))
    monkeypatch.setattr(backends, "__file__", str(tmp_path / "backends" / "__init__.py"))
    found = [original, digest()]
    for name in ("hnrnn/facts.py", "hnrnn/models.py", "backends/cell.py"):
        with (tmp_path / name).open("a") as file:
            file.write("# more\n")
        found.append(digest())
    assert found[0] == found[1] == found[2]
    assert len(set(found)) == 3

    def planted_digest() -> str:
        environment.source_sha256.cache_clear()
        return environment.source_sha256(planted=True)

    (tmp_path / "planting.py").write_text("one fault")
    planted = planted_digest()
    (tmp_path / "planting.py").write_text("another")
    assert len({digest(), planted, planted_digest()}) == 3
    assert digest() == found[-1]
    environment.source_sha256.cache_clear()


def test_provenance_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no git, the commit is unknown, and that is no error."""
    monkeypatch.setenv("PATH", "")
    provenance = environment.read_provenance("cpu")
    assert (provenance.commit, provenance.dirty) == (None, None)
    assert provenance.package_version == hnrnn.__version__


def test_device_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU works unless waiting for it fails, as it does after an error that stays."""

    def fail() -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "synchronize", fail)
    assert device_works("cpu")
    assert not device_works("cuda")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert device_works("cuda")
