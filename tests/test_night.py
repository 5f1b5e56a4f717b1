"""What a nightly CI does around the training: judging, keeping and telling."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from reports import night
from tests.hostile_data import VALUES
from tests.test_security import check_terminal

HISTORY = f"history/20260102T030400Z-{'a' * 20}.parquet"
LATER = f"history/20260103T030400Z-{'b' * 20}.parquet"
GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@example.invalid"]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return a clone of a repository in which a night is kept."""
    origin, kept = tmp_path / "origin", tmp_path / "kept"
    subprocess.run([*GIT, "init", "--quiet", "--bare", "-b", "nights", origin], check=True)
    subprocess.run([*GIT, "clone", "--quiet", origin, kept], check=True, stderr=subprocess.PIPE)
    write(kept, HISTORY, "baseline/runs/runs.parquet", "baseline/throughput/throughput.parquet")
    subprocess.run([*GIT, "-C", kept, "add", "."], check=True)
    subprocess.run([*GIT, "-C", kept, "commit", "--quiet", "-m", "Nights"], check=True)
    subprocess.run([*GIT, "-C", kept, "push", "--quiet", "origin", "HEAD"], check=True)
    return kept


def write(folder: Path, *names: str, text: str = "old") -> None:
    """Write files of so little that nothing reads them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def pushed(kept: Path) -> dict[str, str]:
    """Return what the repository has: text by name."""
    git = [*GIT, "-C", str(kept.parent / "origin")]
    names = subprocess.check_output([*git, "ls-tree", "-r", "--name-only", "nights"], text=True)
    return {
        name: subprocess.check_output([*git, "show", f"nights:{name}"], text=True)
        for name in names.splitlines()
    }


def keep(tmp_path: Path) -> int:
    """Keep the night."""
    return night.main(
        ["keep", "--night", str(tmp_path / "night"), "--kept", str(tmp_path / "kept")]
    )


def test_keep(tmp_path: Path, kept: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """New nights and a new baseline are pushed, nothing else; no old night is replaced."""
    write(tmp_path / "night", HISTORY, LATER, "baseline/runs/runs.parquet", text="new")
    write(tmp_path / "night", ".git/config", "history/x.parquet", "baseline/runs/epochs.parquet")
    write(tmp_path / "night", "\x1b[31m\n::error::x")
    assert keep(tmp_path) == 0
    assert pushed(kept) == {HISTORY: "old", LATER: "new", "baseline/runs/runs.parquet": "new"}
    check_terminal(capfd.readouterr().err)
    assert keep(tmp_path) == 0
    assert "nothing new to keep" in capfd.readouterr().err


def test_keep_that_cannot_be_pushed(
    tmp_path: Path, kept: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where another night was pushed meanwhile, the exit code is 1, and that one stays."""
    write(tmp_path / "night", LATER, text="new")
    other = tmp_path / "other"
    subprocess.run([*GIT, "clone", "--quiet", tmp_path / "origin", other], check=True)
    write(other, f"history/20260104T030400Z-{'c' * 20}.parquet")
    subprocess.run([*GIT, "-C", other, "add", "."], check=True)
    subprocess.run([*GIT, "-C", other, "commit", "--quiet", "-m", "Other"], check=True)
    subprocess.run([*GIT, "-C", other, "push", "--quiet", "origin", "HEAD"], check=True)
    assert keep(tmp_path) == 1
    assert capfd.readouterr().err.splitlines()[-1].startswith("python -m reports.night: ")
    assert LATER not in pushed(kept)
    assert len(pushed(kept)) == 4


Calls = list[list[str]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Record the commands instead of carrying them out; no issue is open."""
    calls: Calls = []

    def run(*words: str, check: bool = False) -> int:
        assert check == (words[0] in ("gh", "git"))
        calls.append(list(words))
        return 0

    monkeypatch.setattr(night, "_run", run)
    monkeypatch.setattr(night, "open_issue", lambda: None)
    return calls


def tell(folder: Path, verdict: object, seeds: str = "") -> int:
    """Tell of a night with this verdict; None: there is none."""
    folder.mkdir(exist_ok=True)
    if verdict is not None:
        (folder / "verdict.json").write_text(json.dumps({"verdict": verdict}))
    arguments = ["--profile", "nightly", "--seeds", seeds, "--device", "cuda"]
    arguments += ["--engine", "local"]
    return night.main(["tell", "--report", str(folder), *arguments])


@pytest.mark.parametrize(
    ("verdict", "title"),
    [("agrees", None), ("inconclusive", None), ("regressed", "regressed"),
     ("differs", "differs"), ("incomplete", "incomplete"), (None, "no verdict"),
     (VALUES["command"], "no verdict"), ([1], "no verdict")],
)  # fmt: skip
def test_which_verdicts_are_told(
    verdict: object, title: str | None, tmp_path: Path, calls: Calls
) -> None:
    """An issue is opened for what is wrong and for no verdict at all, and says which."""
    assert tell(tmp_path, verdict) == 0
    titles = [call[call.index("--title") + 1] for call in calls if call[1] == "issue"]
    assert titles == ([] if title is None else [f"The nightly run failed: {title}"])


def test_an_open_issue_is_commented(
    tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an issue is open there is no second one."""
    monkeypatch.setattr(night, "open_issue", lambda: 12)
    assert tell(tmp_path, "regressed") == 0
    assert [call[:4] for call in calls] == [["gh", "issue", "comment", "12"]]


@pytest.mark.parametrize("value", VALUES.values(), ids=[*VALUES])
def test_what_repeats_a_night_is_quoted(value: str) -> None:
    """Whatever was typed for seeds is one word of the command that is to be pasted."""
    commands = [
        shlex.split(line) for line in night.repeat("nightly", value, "cuda", "local", "HEAD")
    ]
    (train,) = [words for words in commands if words[:3] == ["tox", "-e", "nightly"]]
    assert train[train.index("--seeds") + 1 :] == [value]


@pytest.mark.usefixtures("calls")
def test_a_long_summary_is_cut(tmp_path: Path) -> None:
    """GitHub takes no issue of more than 65536 characters: it is cut at a line, and says so."""
    (tmp_path / "summary.md").write_text("| [Model1](report.md#model1) | 0.5 |\n" * 10_000)
    assert tell(tmp_path, "regressed") == 0
    text = (tmp_path / "issue.md").read_text()
    assert 50_000 < len(text) < 65_536
    assert text.endswith("| Model1 | 0.5 |\n\nCut: the job's page has all.")


def test_judge(tmp_path: Path, calls: Calls) -> None:
    """A kept baseline is the gate; with --freeze the notebook is, and the night replaces it."""
    kept = tmp_path / "nights"
    write(kept / "baseline", "runs/runs.parquet")
    arguments = ["judge", "--results", str(tmp_path / "results"), "--kept", str(kept)]
    assert night.main(arguments) == 0
    against = ["--baseline", str(kept / "baseline")]
    assert [call[3] for call in calls] == ["check", "render"]
    assert all(call[-2:] == against for call in calls)
    calls.clear()
    write(kept / "new-baseline", "runs/runs.parquet", text="new")  # as `baseline freeze` would
    assert night.main([*arguments, "--freeze"]) == 0
    assert [call[3] for call in calls] == ["check", "render", "baseline"]
    assert not any("--baseline" in call for call in calls)
    assert (kept / "baseline" / "runs" / "runs.parquet").read_text() == "new"


def test_a_bare_python_is_enough() -> None:
    """Where the writing token is, nothing is installed."""
    code = "import reports.night; reports.night._parser()"
    subprocess.run([sys.executable, "-S", "-c", code], check=True)
