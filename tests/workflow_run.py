"""GitHub in small: carries out a workflow's own commands, job by job and step by step.

A step's ``run`` is given to bash as the runner does, in the environment that it gives. The five
actions that the workflows use are done with git and by copying. ``tox`` is replaced by a script
that does what tox.ini says in this Python, ``gh`` by one that writes down how it was called.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.places import ROOT

WORKFLOWS = ROOT / ".github" / "workflows"
SHELL = ["bash", "-e"]
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.invalid", "-c", "gc.auto=0")

Inputs = dict[str, Any]
CONDITIONS: dict[str, Callable[[Inputs], bool]] = {
    "${{ !cancelled() }}": lambda _: True,
    "${{ !cancelled() && (github.event_name == 'schedule' || inputs.keep || inputs.freeze) }}": (
        lambda inputs: not inputs or bool(inputs.get("keep") or inputs.get("freeze"))
    ),
}
"""What a condition is, by the inputs; a scheduled run has none. Any other one is not known here."""


def load(name: str) -> dict[str, Any]:
    """Return a workflow; YAML 1.1 reads its ``on`` as True."""
    content: dict[Any, Any] = yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))
    return {("on" if key is True else key): value for key, value in content.items()}


def evaluate(text: str, inputs: Inputs, outputs: Mapping[str, str] | None = None) -> str:
    """Return what an expression of ``env`` or ``with`` becomes; ``outputs`` are the night's."""
    if match := re.fullmatch(r"\$\{\{ needs\.night\.outputs\.(\w+) \}\}", text):
        return (outputs or {}).get(match[1], "")
    match = re.fullmatch(r"\$\{\{ inputs\.(\w+)(?: && '(.*?)')?(?: \|\| '(.*?)')? \}\}", text)
    if match:
        value, then, otherwise = inputs.get(match[1]), match[2], match[3]
        chosen = (value if then is None else then) if value else (otherwise or "")
        return str(chosen)
    known = {"${{ github.token }}": "a-token", "${{ github.repository }}": "owner/name"}
    return known[text] if "${{" in text else text


@dataclass
class Result:
    """What a job came to: the steps that failed and those that ran, and what was printed."""

    ran: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    printed: str = ""
    summary: str = ""


@dataclass
class GitHub:
    """A repository with its branches, the artifacts of a run, and the calls of gh."""

    folder: Path
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    """What each job hands on."""
    number: int = 1
    """Of the workflow's run."""

    @property
    def origin(self) -> Path:
        """The bare repository."""
        return self.folder / "origin.git"

    def start(self) -> None:
        """Make the repository of a copy of the project, and the branch for the nights."""
        tree = self.folder / "tree"
        for name in ("hnrnn", "bench", "reports", "tests"):
            ignored = shutil.ignore_patterns("__pycache__", "cpu", "calibration", "test_*", "data")
            shutil.copytree(ROOT / name, tree / name, ignore=ignored)
        for name in ("tox.ini", "constraints.txt", ".gitignore"):
            shutil.copy(ROOT / name, tree)
        (tree / "bench" / "__main__.py").rename(tree / "bench" / "real_main.py")
        shutil.copy(ROOT / "tests" / "stand_in_bench.py", tree / "bench" / "__main__.py")
        # Pictures have tests of their own.
        source = (tree / "reports" / "pages" / "pictures.py").read_text(encoding="utf-8")
        saved = "models.save(drawing(), paths[-1])"
        assert saved in source
        source = source.replace(saved, "paths[-1].touch()")
        (tree / "reports" / "pages" / "pictures.py").write_text(source, encoding="utf-8")
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        self.git("init", "--quiet", "--initial-branch=main", cwd=tree)
        self.git("remote", "add", "origin", str(self.origin), cwd=tree)
        self.commit(tree)
        # As CONTRIBUTING says.
        self.git("switch", "--quiet", "--orphan", "nights", cwd=tree)
        self.git("commit", "--quiet", "--allow-empty", "-m", "Nights", cwd=tree)
        self.git("push", "--quiet", "origin", "nights", cwd=tree)
        self.git("switch", "--quiet", "main", cwd=tree)
        self.make_tools()

    def commit(self, tree: Path | None = None) -> None:
        """Commit and push what is in the tree."""
        tree = tree or self.folder / "tree"
        self.git("add", "--all", cwd=tree)
        self.git("commit", "--quiet", "-m", "A change", cwd=tree)
        self.git("push", "--quiet", "origin", "HEAD:main", cwd=tree)

    def git(self, *words: str, cwd: Path | None = None) -> str:
        """Run git and return what it prints."""
        result = subprocess.run(
            [*GIT, *words], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True
        )
        return result.stdout.strip()

    def make_tools(self) -> None:
        """Write the scripts that stand in for tox and gh, and the Python that is this one."""
        tools = self.folder / "tools"
        tools.mkdir()
        python = f'if [ "$2" = pip ]; then exit 0; fi\nexec "{sys.executable}" "$@"\n'
        scripts = {"python": f"#!/bin/bash\n{python}"}
        for name in ("tox", "gh"):
            # By bash: a first line can name no program whose path has a space.
            path = ROOT / "tests" / f"stand_in_{name}.py"
            scripts[name] = f'#!/bin/bash\nexec "{sys.executable}" "{path}" "$@"\n'
        for name, text in scripts.items():
            (tools / name).write_text(text, encoding="utf-8")
            (tools / name).chmod(0o755)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """How gh was called: its arguments, and the text of a body."""
        log = self.folder / "gh.jsonl"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [json.loads(line) for line in lines]

    def kept(self) -> list[str]:
        """Return the files of the branch for the nights."""
        text = self.git("ls-tree", "-r", "--name-only", "nights", cwd=self.origin)
        return text.splitlines()

    def run(self, workflow: dict[str, Any], job: str, inputs: Inputs | None = None) -> Result:
        """Carry out a job in a new workspace; ``inputs`` are those of a call by hand."""
        inputs = inputs or {}
        workspace = self.folder / "workspace"
        shutil.rmtree(workspace, ignore_errors=True)
        workspace.mkdir()
        given = {name: evaluate(str(text), inputs) for name, text in workflow["env"].items()}
        environment = self.environment() | given
        result, outcomes = Result(), dict[str, str]()
        for step in workflow["jobs"][job]["steps"]:
            condition = step.get("if")
            if (result.failed and not condition) or (
                condition and not CONDITIONS[condition](inputs)
            ):
                continue
            name = step.get("name", step.get("uses"))
            result.ran.append(name)
            outcomes[f"${{{{ steps.{step.get('id')}.outcome }}}}"] = "success"
            if "uses" in step:
                self.act(step, workspace)
                continue
            night = self.outputs.get("night")
            own = {k: evaluate(v, inputs, night) for k, v in step.get("env", {}).items()}
            script = self.folder / "step.sh"
            script.write_text(step["run"], encoding="utf-8")
            done = subprocess.run(
                [*SHELL, str(script)],
                cwd=workspace,
                env=environment | own,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            result.printed += done.stdout
            if done.returncode:
                result.failed.append(name)
                outcomes[f"${{{{ steps.{step.get('id')}.outcome }}}}"] = "failure"
        handed = workflow["jobs"][job].get("outputs", {})
        self.outputs[job] = {key: outcomes.get(text, "skipped") for key, text in handed.items()}
        summary = Path(environment["GITHUB_STEP_SUMMARY"])
        result.summary = summary.read_text(encoding="utf-8")
        return result

    def environment(self) -> dict[str, str]:
        """Return what the runner gives; not what this process has."""
        for name in ("summary", "output", "env"):
            (self.folder / name).write_text("")
        return {
            "PATH": f"{self.folder / 'tools'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_ENV": str(self.folder / "env"),
            "RUNNER_TEMP": str(self.folder),
            "GITHUB_SERVER_URL": "https://github.invalid",
            "GITHUB_REPOSITORY": "owner/name",
            "GITHUB_RUN_ID": "7",
            "GITHUB_RUN_NUMBER": str(self.number),
            "GITHUB_SHA": self.git("rev-parse", "main", cwd=self.origin),
            "STAND_IN_LOG": str(self.folder / "gh.jsonl"),
            "STAND_IN_ISSUES": str(self.folder / "issues.json"),
        }

    def act(self, step: dict[str, Any], workspace: Path) -> None:
        """Do what an action does."""
        action, given = step["uses"].split("@")[0], step.get("with", {})
        artifacts = self.folder / "artifacts"
        if action == "actions/checkout":
            branch = given.get("ref", "main")
            target = workspace / given.get("path", ".")
            self.git("clone", "--quiet", "--branch", branch, str(self.origin), str(target))
        elif action == "actions/upload-artifact":
            shutil.rmtree(artifacts, ignore_errors=True)
            for name in given["path"].split():
                hidden = shutil.ignore_patterns(".*")
                if (workspace / name).exists():
                    shutil.copytree(
                        workspace / name, artifacts / given["name"] / name, ignore=hidden
                    )
        elif action == "actions/download-artifact":
            shutil.copytree(artifacts / given["name"], workspace / given["path"])
        else:
            assert action == "actions/setup-python"
