"""The program of a nightly CI: what is measured is rendered, and what it needs to start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.ci import __main__ as night
from reports.ci import processes


@pytest.mark.parametrize(
    ("code", "rendered"), [(0, True), (1, True), (2, False), (70, False), (130, False)]
)
@pytest.mark.parametrize("command", ["run", "throughput"])
def test_what_is_measured_is_rendered(
    command: str, code: int, *, rendered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The results of ``bench`` are rendered, and its exit code is returned."""
    calls: list[list[str]] = []

    def called(name: str, code: int) -> Callable[[list[str]], int]:
        def main(words: list[str]) -> int:
            calls.append([name, *words])
            return code

        return main

    monkeypatch.setattr("bench.__main__.main", called("bench", code))
    monkeypatch.setattr("reports.__main__.main", called("reports", 2))
    words = [command, "--profile", "smoke", "--results", "there"]
    assert night.main(words) == (code or 2)
    expected = [["bench", *words], ["reports", "render", "--results=there"]]
    assert calls == (expected if rendered else expected[:1])


@pytest.mark.parametrize("command", ["judge --results", "judge --kept", "keep --night"])
def test_no_name_is_no_folder(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty name, such as that of an unset variable, is refused in one line."""
    with pytest.raises(SystemExit) as stop:
        night.main([*command.split(), ""])
    assert stop.value.code == 2
    assert "must name a folder: it is empty" in capsys.readouterr().err


def test_a_users_own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders with the names of our packages are not run in their place."""
    for name in ("hnrnn", "bench", "reports"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    for module in ("bench", "reports"):
        words = processes.python(["python", "-m", module, "--help"])
        assert processes.run(words) == 0
    assert subprocess.run([sys.executable, "-m", "reports"], check=False).returncode == 9


def test_a_bare_python_is_enough() -> None:
    """The job that holds the write token installs nothing."""
    code = "import reports.ci.__main__; reports.ci.__main__.make_parser()"
    subprocess.run([sys.executable, "-S", "-c", code], check=True)
