"""An issue is opened for a night that failed, and nothing that the night wrote is live in it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.ci import __main__ as night
from reports.ci import issue
from tests.escaping import MENTIONS, tokens_of
from tests.hostile_data import VALUES

Calls = list[tuple[list[str], str | None]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Record the commands and what they are given instead of carrying them out; none is open."""
    calls: Calls = []

    def run(words: list[str], *, check: bool = False, text: str | None = None) -> int:
        assert check == (words[1] == "issue")
        calls.append((words, text))
        return 0

    monkeypatch.setattr(issue, "run", run)
    monkeypatch.setattr(issue, "output", lambda _: "[]")
    return calls


def tell(folder: Path, *more: str) -> int:
    """Tell of the night in a folder."""
    arguments = ["--profile", "nightly", "--seeds", "", "--device", "cuda", "--backends", ""]
    return night.main(["tell", "--report", str(folder), *arguments, *more])


def write(folder: Path, verdict: object, problems: object = ()) -> None:
    """Write what a judged night leaves."""
    (folder / "verdict.json").write_text(json.dumps({"verdict": verdict}))
    judged = {"verdict": verdict, "problems": problems}
    (folder / "night.json").write_text(json.dumps(judged))


def titles(calls: Calls) -> list[str]:
    """Return the titles of the issues that were opened."""
    opened = [words for words, _ in calls if words[1:3] == ["issue", "create"]]
    return [words[words.index("--title") + 1].split(": ")[1] for words in opened]


def body(calls: Calls) -> str:
    """Return the text of the one issue."""
    (text,) = [text for words, text in calls if words[1] == "issue"]
    assert text is not None
    return text


@pytest.mark.parametrize(
    ("verdict", "title"),
    [("agrees", None), ("inconclusive", None), ("regressed", "regressed"),
     ("differs", "differs"), ("incomplete", "incomplete"), (None, "no verdict"),
     (VALUES["command"], "no verdict"), ([1], "no verdict"), ({"a": []}, "no verdict")],
)  # fmt: skip
def test_which_verdicts_are_told(
    verdict: object, title: str | None, tmp_path: Path, calls: Calls
) -> None:
    """An issue is opened for a bad verdict and for a missing one, and says which it is."""
    write(tmp_path, verdict)
    assert tell(tmp_path) == 0
    assert titles(calls) == ([] if title is None else [title])


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere.json"))
    path.symlink_to("elsewhere.json")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "cut": lambda path: os.truncate(path, 5),
    "empty": lambda path: os.truncate(path, 0),
    "no UTF-8": lambda path: path.write_bytes(b'{"verdict": "\xff"}'),
    "a list": lambda path: path.write_text("[]"),
    "nested": lambda path: path.write_text("[" * 100_000),
    "huge": lambda path: os.truncate(path, 2**40),
    "a FIFO": lambda path: (path.unlink(), os.mkfifo(path)),
    "a link": _link,
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=[*DAMAGE])
@pytest.mark.parametrize("name", ["verdict.json", "night.json", "summary.md"])
def test_damaged_files_are_told(
    name: str, damage: Callable[[Path], object], tmp_path: Path, calls: Calls
) -> None:
    """A missing, damaged or irregular file counts as a bad verdict, and none makes it hang."""
    write(tmp_path, "agrees")
    (tmp_path / "summary.md").write_text("**Agrees.**")
    damage(tmp_path / name)
    assert tell(tmp_path) == 0
    expected = {"verdict.json": ["no verdict"], "night.json": ["incomplete"], "summary.md": []}
    assert titles(calls) == expected[name]
    if name == "summary.md":
        (tmp_path / "verdict.json").write_text('{"verdict": "regressed"}')
        assert tell(tmp_path) == 0
        assert titles(calls) == ["regressed"]


@pytest.mark.parametrize("step", ["--trained", "--timed"])
def test_a_failed_step_is_told(step: str, tmp_path: Path, calls: Calls) -> None:
    """A night does not agree if one of its steps failed or was never reached."""
    write(tmp_path, "agrees")
    assert tell(tmp_path, f"{step}=success") == 0
    assert calls == []
    for outcome in ("failure", ""):
        assert tell(tmp_path, f"{step}={outcome}") == 0
    assert titles(calls) == ["incomplete", "incomplete"]
    assert "ended with 'failure'" in str(calls[1][1])


def test_a_problem_is_told(tmp_path: Path, calls: Calls) -> None:
    """A failure besides the verdict opens an issue that names it."""
    write(tmp_path, "inconclusive", ["training fresh seeds failed: exit code 2"])
    assert tell(tmp_path) == 0
    assert titles(calls) == ["incomplete"]
    assert "- training fresh seeds failed: exit code 2" in body(calls).splitlines()


def test_files_of_two_nights_are_told(tmp_path: Path, calls: Calls) -> None:
    """A verdict file does not count unless ``judge`` ended with the same verdict."""
    write(tmp_path, "inconclusive")
    (tmp_path / "verdict.json").write_text('{"verdict": "agrees"}')
    assert tell(tmp_path) == 0
    assert titles(calls) == ["incomplete"]


def test_an_open_issue_is_commented(
    tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open issue gets a comment; a new one is opened if gh cannot say whether one is open."""
    write(tmp_path, "regressed")
    monkeypatch.setattr(issue, "output", lambda _: '[{"number": 12}, {"number": 3}]')
    assert tell(tmp_path) == 0
    assert [words[:4] for words, _ in calls] == [["gh", "issue", "comment", "12"]]
    monkeypatch.setattr(issue, "output", lambda _: "no JSON")
    assert tell(tmp_path) == 0
    assert titles(calls) == ["regressed"]


def test_nothing_is_written(tmp_path: Path, calls: Calls) -> None:
    """An issue is opened even on a full disk or without the report's folder."""
    assert tell(tmp_path / "missing") == 0
    assert titles(calls) == ["no verdict"]
    assert list(tmp_path.iterdir()) == []
    assert calls[-1][0][-2:] == ["--body-file", "-"]


def test_gh_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If no issue can be opened, the exit code is 1 and one line says why."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tell(tmp_path) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    monkeypatch.setattr(issue, "output", lambda _: "[]")

    def run(words: list[str], *, check: bool = False, text: str | None = None) -> int:
        assert text or not check
        raise subprocess.CalledProcessError(4, words)

    monkeypatch.setattr(issue, "run", run)
    assert tell(tmp_path) == 1


@pytest.mark.parametrize("value", [*VALUES.values(), "-1,2", "--report", "-h", "```\n@injected"])
def test_what_repeats_a_night_is_quoted(value: str, tmp_path: Path, calls: Calls) -> None:
    """Whatever was typed for seeds is quoted as one word in the issue's command."""
    assert tell(tmp_path, f"--seeds={value}") == 0
    (block,) = [token for token in tokens_of(body(calls)) if token.type == "fence"]
    commands = issue.repeat("nightly", value, "cuda", "")
    if len(value) < issue.LONGEST_BODY:
        shown = "\n".join(commands).replace("\r", "\n").replace("\x00", "\ufffd")
        assert block.content == f"{shown}\n"
    (train,) = [w for w in map(shlex.split, commands) if w[:3] == ["tox", "-e", "nightly"]]
    assert train[-1] == f"--seeds={value}"


FRESH = "0-99,1000000-1000099"


@pytest.mark.parametrize(
    ("trained", "asked", "backends", "repeated"),
    [(FRESH, "", "", FRESH), (FRESH, "200", "ensemble", FRESH), (FRESH, "0-9", "", "0-9"),
     (FRESH, "5", "nn,ensemble", "5"), ("", "", "", None), ("0-9\n", "", "", None),
     ("0; x", "", "", None), ("--x", "", "", None), ("1," * 999 + "1", "", "", None),
     ([FRESH], "7", "", "7"), (None, "7", "", "7")],
)  # fmt: skip
def test_the_seeds_of_the_night_are_repeated(
    trained: object, asked: str, backends: str, repeated: str | None, tmp_path: Path, calls: Calls
) -> None:
    """Another day draws other fresh seeds: the night's own are named, if they are seeds."""
    (tmp_path / "verdict.json").write_text(json.dumps({"ensemble_seeds": trained}))
    assert tell(tmp_path, f"--seeds={asked}", f"--backends={backends}") == 0
    (train,) = [line for line in body(calls).splitlines() if line.startswith("tox -e nightly")]
    _, *named = train.split("--seeds=")
    assert named == ([] if repeated is None else [repeated])


def check_neutral(markdown: str) -> None:
    """Fail on anything that GitHub would make live."""
    for token in tokens_of(markdown):
        assert token.type not in ("html_block", "html_inline", "link_open", "image"), token
        assert token.type not in ("code_block", "code_inline", "fence"), token
        if token.type == "text":
            assert not MENTIONS.search(token.content), token.content
            assert "GH-1" not in token.content
            assert token.content.isprintable() or "\u2060" in token.content


RAW = {
    "entities": "&#64;injected &commat;injected &#x40;injected &#35;1 w&#119;w.faulty.invalid",
    "split": "@\u2060injected @&#8288;injected @**injected**, ht**tps://faulty.invalid**",
    "html": "<a href=https://faulty.invalid>x</a><!-- x --><details>",
    "image": "![x](https://faulty.invalid/x.png) ![x][y]\n\n[y]: https://faulty.invalid",
    "links": "[x](https://faulty.invalid) [faulty]\n\n[faulty]: //faulty.invalid",
    "references": "GH-1 gh-12 injected/injected#1 #1 # 1\n# #1",
    "fence": "```\n@injected\n```\n~~~\n~~~\n    @injected",
    "table": "| @injected | [x](y) | `a` |\n| - | - | - |\n| #1 | ![](x) | &#124; |",
    "bold": "**@injected** **#1** ***@injected***",
}


@pytest.mark.parametrize("text", [*VALUES.values(), *RAW.values()], ids=[*VALUES, *RAW])
def test_a_foreign_summary_is_text(text: str, tmp_path: Path, calls: Calls) -> None:
    """No mention, reference, link, image or HTML of a summary or a problem is live in an issue."""
    write(tmp_path, "regressed", [text])
    (tmp_path / "summary.md").write_text(f"{text}\n\n| a |\n| - |\n| {text} |\n", encoding="utf-8")
    assert tell(tmp_path) == 0
    head, _, rest = body(calls).partition("To repeat the night:")
    check_neutral(head)
    check_neutral(rest.split("\n```\n")[-1])


def test_our_own_summary_is_kept(tmp_path: Path, calls: Calls) -> None:
    """Our own summary keeps its heading, bold text and table, with the data unchanged."""
    write(tmp_path, "regressed")
    table = "| model &#64;&#8288;x | a&#124;b |\n| :-- | --: |\n| Model1 | 0.5 |"
    (tmp_path / "summary.md").write_text(f"# Title\n\n**Regressed.** By `x`.\n\n{table}\n")
    assert tell(tmp_path) == 0
    text = body(calls)
    assert "\ufffd" not in text
    table = table.replace("&#64;&#8288;", "@&#8288;&#8288;")
    assert f"# Title\n\n**Regressed.** By &#96;x&#96;.\n\n{table}" in text


def test_a_long_summary_is_cut(tmp_path: Path, calls: Calls) -> None:
    """GitHub takes no issue of more than 65536 characters: it is cut at a line, and says so."""
    write(tmp_path, "regressed")
    (tmp_path / "summary.md").write_text("| Model1 | 0.5 |\n" * 10_000)
    assert tell(tmp_path) == 0
    text = body(calls)
    assert 50_000 < len(text) < 65_536
    assert text.endswith("| Model1 | 0.5 |\n\nCut: see the job's page.")
