"""What the workflows' own commands do, night by night, and what they are allowed to do."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.workflow_run import ROOT, WORKFLOWS, GitHub, load

NIGHTLY = load("nightly.yml")
NAMES = sorted(path.name for path in WORKFLOWS.iterdir())


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    """Return a repository with the project and an empty branch for the nights."""
    github = GitHub(tmp_path)
    github.start()
    return github


@pytest.mark.slow
def test_a_good_and_a_bad_night(github: GitHub) -> None:
    """The first night agrees with the notebook and becomes the baseline; the second has regressed.

    The second is suspected first, confirmed by fresh seeds, and then fails the job: its files are
    handed over, it is kept in the history, and an issue says how to repeat it.
    """
    night = github.run(NIGHTLY, "night")
    assert night.failed == [], night.printed
    assert " tables the notebook's run cannot be told apart from our seeds" in night.printed
    assert "**Passes, with an accepted difference.**" in night.summary
    assert github.run(NIGHTLY, "publish").failed == []
    first = github.kept()
    assert {"baseline/frozen.json", "baseline/runs/runs.parquet"} <= set(first)
    pages = [Path(name).suffix for name in first if name.startswith("history/")]
    assert sorted(pages) == [".md", ".parquet"]
    assert github.calls == []
    check_publishing(github)
    baseline = github.git("rev-parse", "nights:baseline", cwd=github.origin)

    (github.folder / "tree" / "fault.json").write_text('{"Model0": 0.2}')
    github.commit()
    night = github.run(NIGHTLY, "night")
    assert night.failed == ["Judge"], night.printed
    steps = [step.get("name", step.get("uses")) for step in NIGHTLY["jobs"]["night"]["steps"]]
    assert night.ran == steps, "nothing is left out after a step that failed"
    confirming = "bench run --variants Model0 --backends custom --seeds 160-319"
    like_the_night = "--dtype float32 --initialisation ones --device cuda"
    assert f"{confirming} {like_the_night} --results results/confirmation" in night.printed
    assert "inconclusive:\n  Model0 custom: accuracy is suspected to be worse" in night.printed
    assert "regressed:\n  Model0 custom" in night.printed
    assert "confirmed on fresh seeds" in night.summary
    published = github.run(NIGHTLY, "publish")
    assert published.failed == [], published.printed
    artifact = github.folder / "artifacts" / "night"
    for name in ("report/report.md", "report/verdict.xml", "runs/runs.parquet", "throughput"):
        assert (artifact / "results" / name).exists(), name
    kept = [name for name in github.kept() if name.startswith("history/")]
    assert len(kept) == 6
    verdicts = pd.read_parquet(artifact / "nights" / "history")["verdict"]
    assert set(verdicts) == {"agrees", "inconclusive", "regressed"}
    assert github.git("rev-parse", "nights:baseline", cwd=github.origin) == baseline
    listed, label, created = github.calls
    assert listed["arguments"][:2] == ["issue", "list"]
    assert label["arguments"][:3] == ["label", "create", "nightly"]
    words = created["arguments"]
    assert words[:4] == ["issue", "create", "--title", "The nightly run failed: regressed"]
    assert words[words.index("--label") + 1] == "nightly"
    assert "**Regressed.**" in created["body"]
    check_repeatable(created["body"], night.printed, github)

    (github.folder / "issues.json").write_text('[{"number": 3}]')
    published = github.run(NIGHTLY, "publish")
    assert published.failed == []
    assert "nothing new to keep" in published.printed
    assert github.calls[-1]["arguments"][:3] == ["issue", "comment", "3"]
    assert github.calls[-1]["body"] == created["body"]
    assert len(github.calls) == 5


def check_publishing(github: GitHub) -> None:
    """Fail unless the last job starts the workflow that publishes the pages, and no more."""
    assert github.run(NIGHTLY, "pages").failed == []
    (call,) = github.calls
    assert call["arguments"] == ["workflow", "run", "docs.yml"]
    (github.folder / "gh.jsonl").unlink()


def check_repeatable(body: str, printed: str, github: GitHub) -> None:
    """Fail unless the issue's commands are those that the night carried out, at its commit."""
    (block,) = re.findall(r"```\n(git .*?)\n```", body, re.DOTALL)
    commands = [shlex.split(line) for line in block.splitlines()]
    commit = github.git("rev-parse", "main", cwd=github.origin)
    assert commands[0] == ["git", "switch", "--detach", commit]
    ran = re.findall(r"^tox (\w+): python -m \w+(?:\.ci)? (.*)$", printed, re.MULTILINE)
    trained = dict(reversed(ran))  # the first command of each environment
    for environment, command in (("nightly", "run"), ("throughput", "throughput"), ("night", "")):
        (words,) = [w for w in commands if w[:3] == ["tox", "-e", environment]]
        assert words[3] == "--"
        assert trained[environment] == shlex.join([command, *words[4:]][not command :])
    assert "https://github.invalid/owner/name/actions/runs/7" in body
    assert "](report.md" not in body


@pytest.mark.slow
def test_smoke_night(github: GitHub) -> None:
    """A smoke night is really trained; it is too little to judge, so the night fails.

    It is not kept because it was not scheduled, and no issue is opened.
    """
    inputs = {"profile": "smoke", "seeds": "1", "device": "cpu", "keep": False, "freeze": False}
    night = github.run(NIGHTLY, "night", inputs)
    assert night.failed == ["Judge"], night.printed
    assert "2 runs stored in results" in night.printed
    runs = pd.read_parquet(github.folder / "artifacts" / "night" / "results" / "runs")
    assert set(runs["status"]) == {"ok"}
    assert not runs["dirty"].any(), "the history's folder is no change to the code"
    published = github.run(NIGHTLY, "publish", inputs)
    assert published.failed == []
    assert "Keep" not in published.ran
    assert github.kept() == []
    assert github.calls == [], "an inconclusive night is no issue"


def runs_of(workflow: dict[str, Any]) -> Iterator[str]:
    """Return every step's script."""
    for job in workflow["jobs"].values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_workflow_may_do(name: str) -> None:
    """Tokens have the fewest rights, actions are pinned, and no text becomes part of a script."""
    workflow = load(name)
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["group"]
    writing = {
        "nightly.yml": {"contents": "write", "issues": "write"},
        "docs.yml": {"pages": "write", "id-token": "write"},
    }
    for key, job in workflow["jobs"].items():
        may = writing[name] if key == "publish" else {"contents": "read"}
        may = {"actions": "write"} if key == "pages" else may
        assert job["permissions"] == may
        assert 0 < job["timeout-minutes"] <= 720
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                pushes = step["with"].get("path") == "kept"
                assert step["with"]["persist-credentials"] is pushes
    for script in runs_of(workflow):
        assert "${{" not in script
    text = (WORKFLOWS / name).read_text(encoding="utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert used
    for action in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    assert "secrets." not in text
    assert "pull_request_target" not in text


def test_the_gpu_machine_runs_no_strangers_code() -> None:
    """On the project's own machine only a schedule or a person can start a job."""
    for name in NAMES:
        workflow = load(name)
        own = [j for j in workflow["jobs"].values() if "self-hosted" in str(j["runs-on"])]
        assert len(own) == (name == "nightly.yml")
        if own:
            assert set(workflow["on"]) == {"schedule", "workflow_dispatch"}


def test_ci_calls_what_is_there() -> None:
    """The CI script is executable, and every tox environment that the workflows call exists."""
    environments = configparser.ConfigParser(interpolation=None)
    environments.read(ROOT / "tox.ini")
    scripts = [script for name in NAMES for script in runs_of(load(name))]
    assert ".ci/run" in scripts
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    words = [each for script in scripts for each in re.findall(r"-e ([\w,]+)", script)]
    named = {name for word in words for name in word.split(",")}
    assert named == {"audit", "docs", "lint", "nightly", "throughput", "night", "site", "wheel"}
    for name in named:
        assert environments[f"testenv:{name}"]["commands"]
