"""``reports compare``: the tables that people have, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.__main__ import main
from tests import made_up
from tests.command_line import exit_code

Write = Callable[[pd.DataFrame, str], None]
RUNS = 12


def runs(shift: float = 0.0, seed: int = 1) -> pd.DataFrame:
    """Return one row per seed, whose accuracy differs by seed more than by anything else."""
    common = np.random.default_rng(0).normal(0.9, 0.02, RUNS)
    own = np.random.default_rng(seed).normal(0, 0.001, RUNS)
    return pd.DataFrame(
        {"seed": range(RUNS), "accuracy": common + own - shift, "loss": 0.3 + own + shift}
    )


def epochs(table: pd.DataFrame, last: int = 3) -> pd.DataFrame:
    """Return one row per seed and epoch, the last of which has the table's values."""
    parts = [
        table.assign(epoch=e, accuracy=table["accuracy"] - (last - e)) for e in range(last + 1)
    ]
    return pd.concat(parts, ignore_index=True).sample(frac=1, random_state=0)


def wandb_runs(table: pd.DataFrame, path: str) -> None:
    """Write what Weights & Biases exports of a table of runs."""
    names = [f"brisk-river-{i}" for i in range(len(table))]
    wide = table.assign(Name=names, State="finished", Notes="-", Runtime=12, Created="2026-01-01")
    wide[["Name", "State", "Notes", "Created", "Runtime", "seed", "accuracy"]].to_csv(
        path, index=False, quoting=1
    )


def wandb_history(table: pd.DataFrame, path: str) -> None:
    """Write what Weights & Biases exports of a chart: one column per run, and its bounds."""
    columns = {"Step": [0, 10, 20]}
    for seed, accuracy in zip(table["seed"], table["accuracy"], strict=True):
        for end in ("", "__MIN", "__MAX"):
            columns[f"run-{seed} - accuracy{end}"] = [0.1, 0.5, accuracy]
        columns[f"run-{seed} - _step"] = [0, 10, 20]
    pd.DataFrame(columns).to_csv(path, index=False)


def mlflow(table: pd.DataFrame, path: str) -> None:
    """Write what ``mlflow.search_runs().to_csv`` writes, with a parent run without values."""
    found = pd.DataFrame(
        {
            "run_id": [f"{i:032x}" for i in range(RUNS)],
            "status": "FINISHED",
            "metrics.accuracy": table["accuracy"],
            "params.seed": table["seed"].astype(str),
            "tags.mlflow.runName": "calm-owl",
        }
    )
    found.loc[RUNS] = ["f" * 32, "FINISHED", None, None, "parent"]
    found.to_csv(path)


FORMS: dict[str, tuple[Write, str, list[str]]] = {
    "wandb runs": (wandb_runs, "csv", ["--by", "seed", "--metric", "accuracy"]),
    "wandb history": (wandb_history, "csv", ["--metric", "accuracy"]),
    "mlflow": (mlflow, "csv", ["--by", "params.seed", "--metric", "metrics.accuracy"]),
    "index": (pd.DataFrame.to_csv, "csv", ["--by", "seed", "--metric", "accuracy"]),
    "byte order mark": (
        lambda table, path: table.to_csv(path, index=False, encoding="utf-8-sig"),
        "csv",
        ["--by", "seed", "--metric", "accuracy"],
    ),
    "gzip": (pd.DataFrame.to_csv, "csv.gz", ["--by", "seed", "--metric", "accuracy"]),
    "tabs": (
        lambda table, path: table.to_csv(path, sep="\t"),
        "tsv",
        ["--by", "seed", "--metric", "accuracy"],
    ),
    "semicolons": (
        lambda table, path: table.to_csv(path, sep=";", index=False),
        "csv",
        ["--by", "seed", "--metric", "accuracy"],
    ),
    "json": (
        lambda table, path: table.to_json(path, orient="records", double_precision=15),
        "json",
        ["--by", "seed", "--metric", "accuracy"],
    ),
    "epochs, json lines": (
        lambda table, path: epochs(table).to_json(
            path, orient="records", lines=True, double_precision=15
        ),
        "jsonl",
        ["--by", "seed", "--metric", "accuracy"],
    ),
    "epochs, parquet": (
        lambda table, path: epochs(table).to_parquet(path),
        "parquet",
        ["--by", "seed", "--metric", "accuracy", "--step", "epoch"],
    ),
    "float seeds": (
        lambda table, path: table.astype({"seed": float}).to_csv(path),
        "csv",
        ["--by", "seed", "--metric", "accuracy"],
    ),
}


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of its own, with fewer permutations."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reports.verdict.two_tables.PERMUTATIONS", 9999)


def compare(*words: str) -> int:
    """Return the exit code of ``reports compare``."""
    return exit_code(main, ["compare", *words])


def written() -> dict:  # type: ignore[type-arg]
    """Return the record of a comparison that was written to ``out``."""
    return dict(json.loads(Path("out/compare.json").read_text()))


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_tables(form: str) -> None:
    """Every form gives the same pairs, means and verdict as a plain table."""
    write, suffix, words = FORMS[form]
    write(runs(), f"a.{suffix}")
    write(runs(0.002, seed=2), f"b.{suffix}")
    assert compare(f"a.{suffix}", f"b.{suffix}", *words, "--output", "out") == 1
    (difference,) = written()["differences"]
    assert difference["pairs"] == RUNS
    assert difference["mean_before"] == pytest.approx(runs()["accuracy"].mean(), abs=1e-9)
    assert difference["difference"] == pytest.approx(
        (runs(0.002, seed=2) - runs())["accuracy"].mean(), abs=1e-9
    )


def test_two_forms_are_compared() -> None:
    """Keys are the same whether they were written as numbers, text or fractions."""
    runs().astype({"seed": str}).to_parquet("a.parquet")
    runs(seed=2).astype({"seed": float}).to_csv("b.csv")
    words = ("--by", "seed", "--metric", "accuracy", "--output", "out")
    assert compare("a.parquet", "b.csv", *words) == 0
    assert written()["differences"][0]["pairs"] == RUNS


def test_results_folders(capsys: pytest.CaptureFixture[str]) -> None:
    """A results folder of ours is read with all epochs; diverged runs count as the worst."""
    for name in ("before", "after"):
        records = [made_up.made_up_record(v, s) for v in ("Model0", "Model4") for s in range(8)]
        if name == "after":
            records[3] = made_up.with_outcome(records[3], "failed", "no memory")
            lost = replace(records[9].epochs[-1], valid_loss=np.nan)
            lost_run = replace(records[9], epochs=(*records[9].epochs[:-1], lost))
            records[9] = made_up.with_outcome(lost_run, "diverged")
        made_up.stored(Path(name), records)
    words = ["--by", "seed", "--configuration", "variant", "--metric", "accuracy"]
    assert compare("before", "after", *words, "--output", "out") == 3
    found = {each["configuration"]: each for each in written()["differences"]}
    assert {name: each["pairs"] for name, each in found.items()} == {"Model0": 7, "Model4": 8}
    assert found["Model4"]["diverged_after"] == 1
    assert written()["missing"] == [
        "after: 1 run left out because the state is failed (seed Model0 3)"
    ]
    assert "the last epoch of each run counts" in capsys.readouterr().err


def test_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    """Worse is 1, not worse 0 with what would have been seen, and too few runs 4."""
    runs().to_csv("a.csv")
    runs(0.002, seed=2).to_csv("b.csv")
    runs(0.002, seed=2).head(5).to_csv("few.csv")
    pairs = ("--by", "seed", "--metric", "accuracy", "--metric", "loss")
    assert compare("a.csv", "b.csv", *pairs) == 1
    text = capsys.readouterr().out
    assert "worse: accuracy is lower, " in text
    assert "; loss is higher, " in text
    assert compare("b.csv", "a.csv", *pairs) == 0
    assert "not worse: accuracy is higher, " in capsys.readouterr().out
    assert compare("a.csv", "b.csv", "--metric", "accuracy") == 0
    text = capsys.readouterr().out
    assert "not worse: nothing is seen to be worse; accuracy lower by 0.0" in text
    assert "would have been seen with a probability of 90%" in text
    words = ("--by", "seed", "--metric", "accuracy", "--unpaired", "--level", "0.001")
    assert compare("a.csv", "b.csv", *words) == 0
    assert "99.9% interval" in capsys.readouterr().out
    assert compare("a.csv", "few.csv", *pairs) == 4
    captured = capsys.readouterr()
    assert "inconclusive: the runs are too few to reject anything" in captured.out
    assert "7 runs before left out: the other table lacks their keys" in captured.err


def test_directions(capsys: pytest.CaptureFixture[str]) -> None:
    """Which way is better follows from the name, is shown, and can be changed."""
    table = runs().rename(columns={"loss": "eval/valid_loss", "accuracy": "glossiness"})
    table.to_csv("a.csv")
    table.assign(glossiness=table["glossiness"] - 0.01).to_csv("b.csv")
    words = (
        "a.csv",
        "b.csv",
        "--by",
        "seed",
        "--metric",
        "glossiness",
        "--metric",
        "eval/valid_loss",
    )
    assert compare(*words) == 1
    shown = capsys.readouterr().out
    assert "| glossiness | higher |" in shown
    assert "| eval/valid&#95;loss | lower |" in shown or "| eval/valid_loss | lower |" in shown
    assert compare(*words, "--lower-is-better", "glossiness") == 0
    assert compare(*words, "--higher-is-better", "eval/valid_loss") == 1
    assert compare(*words, "--lower-is-better", "seed") == 2
    assert "--lower-is-better seed: it is none of the metrics" in capsys.readouterr().err
    both = ("--lower-is-better", "glossiness", "--higher-is-better", "glossiness")
    assert compare(*words, *both) == 2


def test_missing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """A table that lacks runs is incomplete, unless it is worse or they are said to count."""
    before, after = runs().assign(State="finished"), runs(seed=2).assign(State="finished")
    after.loc[3, "State"] = "crashed"
    after.loc[5, "accuracy"] = np.nan
    before.to_csv("a.csv")
    after.to_csv("b.csv")
    words = ("a.csv", "b.csv", "--by", "seed", "--metric", "accuracy", "--output", "out")
    assert compare(*words) == 3
    captured = capsys.readouterr()
    assert "b.csv: 1 run left out because the state is crashed (seed 3)" in captured.out
    assert "b.csv: 1 of 11 runs without accuracy (seed 5)" in captured.out
    assert compare(*words, "--missing", "left-out") == 0
    assert "1 of 11 runs without accuracy (seed 5)" in capsys.readouterr().err
    assert written()["differences"][0]["runs_after"] == 10
    assert compare(*words, "--missing", "worst") == 0
    (difference,) = written()["differences"]
    assert (difference["runs_after"], difference["diverged_after"]) == (11, 1)
    assert difference["low"] is None
    after.assign(accuracy=after["accuracy"] - 1).to_csv("low.csv")
    assert compare("a.csv", "low.csv", *words[2:6]) == 1
    assert "low.csv: 1 of 11 runs without accuracy (seed 5)" in capsys.readouterr().err
    assert compare("b.csv", "a.csv", *words[2:]) == 0  # what was missing before is only named
    again = pd.concat([after, runs(seed=2).loc[[3, 5]].assign(State="finished")])
    again = again[again["accuracy"].notna()]
    again.to_csv("b.csv")
    assert compare(*words) == 0  # what crashed and what finished later is one run
    after.assign(accuracy=after["accuracy"] - 0.01).to_csv("b.csv")
    assert compare(*words) == 1


def test_many_that_diverge_are_worse() -> None:
    """Runs that count as the worst there can be are worse, whatever the means of the others."""
    runs().to_csv("a.csv")
    runs(-0.001, seed=2).assign(accuracy=lambda t: t["accuracy"].mask(t["seed"] > 3)).to_csv(
        "b.csv"
    )
    words = ("a.csv", "b.csv", "--by", "seed", "--metric", "accuracy")
    assert compare(*words) == 3
    assert compare(*words, "--missing", "worst") == 1


def test_configurations(capsys: pytest.CaptureFixture[str]) -> None:
    """All are tested together; one that the second table lacks makes it incomplete."""

    def both(small: float, large: float, seed: int) -> pd.DataFrame:
        parts = (
            runs(small, seed).assign(model="small"),
            runs(large, seed + 9).assign(model="large"),
        )
        return pd.concat(parts)

    both(0, 0, 1).to_csv("a.csv")
    both(0, 0.002, 3).to_csv("b.csv")
    words = ("--by", "seed", "--metric", "accuracy", "--configuration", "model")
    assert compare("a.csv", "b.csv", *words, "--output", "out") == 1
    assert [d["verdict"] for d in written()["differences"]] == ["not worse", "worse"]
    runs(seed=3).assign(model="small").to_csv("small.csv")
    assert compare("a.csv", "small.csv", *words) == 3
    assert "small.csv has no runs of large" in capsys.readouterr().out
    assert compare("small.csv", "b.csv", *words) == 0
    assert "small.csv has no runs of large" in capsys.readouterr().err
    runs().assign(model="huge").to_csv("huge.csv")
    assert compare("a.csv", "huge.csv", *words) == 2
    assert "a.csv has small, large; huge.csv has huge" in capsys.readouterr().err


def test_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """The last step with a value counts where values have gaps, and short runs are named."""
    long = epochs(runs()).reset_index(drop=True)
    long.to_csv("a.csv")
    sparse = pd.concat([long, long.assign(epoch=long["epoch"] + 0.5, accuracy=np.nan)])
    sparse.to_csv("sparse.csv")
    words = ("--by", "seed", "--metric", "accuracy", "--output", "out")
    assert compare("a.csv", "sparse.csv", *words) == 0
    assert written()["differences"][0]["difference"] == 0
    long[(long["seed"] > 0) | (long["epoch"] < 3)].to_csv("short.csv")
    capsys.readouterr()
    assert compare("a.csv", "short.csv", *words) == 3
    ends = "short.csv: 1 of 12 runs end before the last epoch that others have accuracy of (seed 0)"
    assert f"incomplete: {ends}; --early-stopping takes their last" in capsys.readouterr().out
    assert compare("a.csv", "short.csv", *words, "--early-stopping") == 0
    assert ends in capsys.readouterr().err
    assert written()["differences"][0]["runs_after"] == RUNS
    assert compare("a.csv", "short.csv", *words, "--missing", "worst") == 0
    assert written()["differences"][0]["diverged_after"] == 1
    long.assign(accuracy=long["accuracy"].mask((long["seed"] == 2) & (long["epoch"] > 1))).to_csv(
        "nan.csv"
    )
    assert compare("a.csv", "nan.csv", *words) == 3
    assert "nan.csv: 1 of 12 runs without accuracy (seed 2)" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["removed", "sparse", "one row", "all"])
def test_runs_that_died_are_not_healthy(how: str) -> None:
    """A run that ends early is missing, and the worst if it is asked for, however it is logged."""
    long = epochs(runs(), last=10).reset_index(drop=True)
    died = (long["seed"] < (RUNS if how == "all" else 8)) & (long["epoch"] > 4)
    after = long[~died]
    if how == "sparse":
        after = long.assign(accuracy=long["accuracy"].mask(died | (long["epoch"] % 2 == 1)))
    if how == "one row":
        after = after.sort_values("epoch").groupby("seed").tail(1)
    # The values are those that runs which died would have had in the end: nothing else differs.
    after = after.assign(accuracy=after["accuracy"] + 10 - after["epoch"])
    long.to_csv("a.csv")
    after.to_csv("b.csv")
    words = ("a.csv", "b.csv", "--by", "seed", "--metric", "accuracy")
    assert compare(*words) == 3
    assert compare(*words, "--missing", "worst") == 1
    assert compare(*words, "--early-stopping") == 0


def test_steps_that_tell_runs_apart() -> None:
    """A column of epochs that is named for something else is no column of steps."""
    epochs(runs()).to_csv("a.csv")
    epochs(runs(seed=2)).to_csv("b.csv")
    words = ("a.csv", "b.csv", "--by", "seed", "--metric", "accuracy", "--output", "out")
    assert compare(*words, "--by", "epoch") == 0
    assert written()["differences"][0]["pairs"] == 4 * RUNS
    assert compare(*words, "--configuration", "epoch") == 0
    assert [each["pairs"] for each in written()["differences"]] == [RUNS] * 4


def test_other_numbers_of_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """Runs that are longer than those before are compared, and it is said."""
    epochs(runs()).to_csv("a.csv")
    epochs(runs(seed=2), last=5).to_csv("b.csv")
    assert compare("a.csv", "b.csv", "--by", "seed", "--metric", "accuracy") == 0
    longer = "b.csv: accuracy is that of epoch 5, in the other table of 3"
    assert longer in capsys.readouterr().err


def test_chart_of_a_run_without_values() -> None:
    """In a table with one column per run, an empty column is a run without a value."""
    wandb_history(runs(), "a.csv")
    table = runs()
    wandb_history(table, "b.csv")
    chart = pd.read_csv("b.csv")
    chart.assign(**{"run-3 - accuracy": np.nan}).to_csv("b.csv")
    assert compare("a.csv", "b.csv", "--metric", "accuracy") == 3


LOWER = """duration train_time valLoss time runtime elapsed_ms losses cross_entropy kl KLDiv
peak_memory_bytes perplexity top1Err eval/loss seconds_per_epoch errors/word RMSE logLoss
false_negative_rate negative_log_likelihood"""
HIGHER = """accuracy glossiness lossless_score terror tokens_per_second images/sec timely
neg_mean_squared_error memory_bandwidth negative_predictive_value f1 itemsPerSec"""


def test_assumed_directions(capsys: pytest.CaptureFixture[str]) -> None:
    """What takes twice as long is worse; what is assumed is said, and how to change it."""
    for names, way, other in ((LOWER, "lower", "higher"), (HIGHER, "higher", "lower")):
        metrics = names.split()
        for path, shift in (("a.csv", 0.0), ("b.csv", -0.9)):
            table = runs(shift)
            table.assign(**dict.fromkeys(metrics, table["accuracy"])).to_csv(path)
        words = ["a.csv", "b.csv", "--by", "seed", *(f"--metric={each}" for each in metrics)]
        worse = way == "lower"
        assert compare(*words, "--output", "out") == worse
        for each in written()["differences"]:
            assert each["verdict"] == ("worse" if worse else "better"), each["metric"]
        error = capsys.readouterr().err
        for name in metrics:
            assert f"{name}: {way} is better, assumed: --{other}-is-better {name}\n" in error
        assert compare(*words, *(f"--{other}-is-better={each}" for each in metrics)) != worse
        assert "assumed" not in capsys.readouterr().err


def test_names_that_look_like_numbers() -> None:
    """A name is a number only where it is written as one."""
    names = ["1_1", "1_2", "2_1", "2_2", "1e2", "1e3", "0012", "0013", "x", "inf", "+5", "5.0"]
    others = ["11", "12", "21", "22", "100", "1000", "12 ", "13", "y", "nan", " 5", "5"]
    runs().assign(seed=names).to_parquet("a.parquet")
    runs(seed=2).assign(seed=others).iloc[[*range(6), 7, 8, 9, 11]].to_parquet("b.parquet")
    words = ("a.parquet", "b.parquet", "--by", "seed", "--metric", "accuracy", "--output", "out")
    assert compare(*words) == 0
    assert written()["differences"][0]["pairs"] == 1


def test_inconclusive_is_never_said_where_worse_is_possible(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Six pairs can be worse in two metrics at once, and three runs against four equal ones."""
    before = pd.DataFrame({"seed": range(6), "a": np.arange(6.0), "b": np.arange(6.0)})
    before.to_csv("a.csv")
    before.assign(a=before["a"] - 10, b=before["b"] - 10).to_csv("b.csv")
    before.assign(a=before["a"][::-1].to_numpy(), b=before["b"] + [1, -2, 3, -4, 5, -6]).to_csv(
        "c.csv"
    )
    words = ("--by", "seed", "--metric", "a", "--metric", "b")
    assert compare("a.csv", "b.csv", *words) == 1
    assert compare("a.csv", "c.csv", *words) == 0
    before.head(5).to_csv("five.csv")
    assert compare("five.csv", "b.csv", *words) == 4
    assert "even if all after were worse (a, b)" in capsys.readouterr().out
    pd.DataFrame({"a": [1.0, 1, 1, 1]}).to_csv("equal.csv")
    pd.DataFrame({"a": [1.0, 2, 3, 4]}).to_csv("four.csv")
    for name, last, code in (("equal", -1, 1), ("equal", 5, 0), ("four", -1, 4)):
        pd.DataFrame({"a": [-3.0, -2, last]}).to_csv("three.csv")
        assert compare(f"{name}.csv", "three.csv", "--metric", "a") == code, (name, last)


TEXT = "seed,accuracy\n0,high\n1,0.9\n"
BAD = {
    "nothing.csv": (None, "there is no file nothing.csv"),
    "empty.csv": ("", "empty.csv cannot be read as a table: No columns to parse"),
    "head.csv": ("seed,accuracy\n", "head.csv has no rows"),
    "kind.txt": ("seed", "kind.txt is of no known kind: its name must end in .csv, .tsv"),
    "no.parquet": ("seed", "no.parquet cannot be read as a table"),
    "list.json": ("[", "list.json cannot be read as a table"),
    "text.csv": (TEXT, "text.csv: accuracy has text in 1 of 2 rows, the first is 'high' in row 1"),
    "comma.csv": ("seed;accuracy\n0;0,8\n", "the first is '0,8' in row 1"),
    "twice.csv": (
        "seed,accuracy\n3,.8\n3,.9\n",
        "twice.csv has several rows (seed 3): name the column of steps with --step, or what else",
    ),
    "step.csv": (
        "seed,epoch,accuracy\n3,1,.8\n3,1,.9\n",
        "step.csv has several rows of one run at one epoch: name what else tells runs apart",
    ),
    "when.csv": ("seed,epoch,accuracy\n3,1,.8\n3,,.9\n", "epoch has 1 rows without number"),
    "key.csv": ("seed,accuracy\n,.8\n1,.9\n", "key.csv: 1 row without seed: fill it in"),
    "crashed.csv": ("seed,State,accuracy\n1,crashed,.9\n", "crashed.csv has no finished run"),
    "names.csv": (
        "run_id,seeds, accuracy \na,1,.1\n",
        "names.csv has no column 'seed'; it has 'seeds', 'run_id', 'accuracy'",
    ),
    "metric.csv": (
        "seed,lr,acc,eval_accuracy\n1,2,.1,.1\n",
        "metric.csv has no column 'accuracy'; it has 'eval_accuracy', 'acc', ",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tables(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is one line that says what is wrong, and what there is."""
    text, message = BAD[name]
    runs().to_csv("a.csv")
    if text is not None:
        Path(name).write_text(text)
    assert compare("a.csv", name, "--by", "seed", "--metric", "accuracy", "--output", "out") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("python -m reports compare: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert not Path("out").exists()


def test_bad_calls(capsys: pytest.CaptureFixture[str]) -> None:
    """A table against itself, a folder without runs, and epochs of no run are refused."""
    runs().to_csv("a.csv")
    epochs(runs()).to_csv("e.csv")
    Path("folder").mkdir()
    for words, message in (
        (("a.csv", "./a.csv"), "a.csv is named twice"),
        (("a.csv", "folder"), "folder"),
        (("a.csv", "e.csv"), "e.csv has several values of epoch: name what tells its runs apart"),
        (("a.csv", "e.csv", "--step", "iteration"), "has no column 'iteration'"),
        (("e.csv", "a.csv", "--step", "epoch"), "e.csv has several values of epoch: name what"),
    ):
        assert compare(*words, "--metric", "accuracy") == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_what_is_left_out_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Rows without a key and a value, and states that are unknown, are said to the user."""
    mlflow(runs(), "a.csv")
    wandb = runs(seed=2).rename(columns={"seed": "params.seed", "accuracy": "metrics.accuracy"})
    wandb.assign(State=["finished"] * 11 + ["zombie"]).to_csv("b.csv")
    assert compare("a.csv", "b.csv", "--by", "params.seed", "--metric", "metrics.accuracy") == 0
    error = capsys.readouterr().err
    assert "a.csv: 1 row without params.seed and without values left out" in error
    assert "b.csv: runs count as finished where State is zombie" in error


def test_files(capsys: pytest.CaptureFixture[str]) -> None:
    """The page shows the verdict, the table, the picture and the notes; names are escaped."""
    runs().to_csv("a<b>.csv")
    runs(seed=2).to_csv("b.csv")
    words = ("--by", "seed", "--metric", "accuracy", "--output", "out")
    assert compare("a<b>.csv", "b.csv", *words) == 0
    assert "compare.md, .json and .png written" in capsys.readouterr().err
    page = Path("out/compare.md").read_text()
    assert page.startswith("# b.csv compared with a&lt;b&gt;.csv\n")
    assert "![values and differences](compare.png)" in page
    assert "two-sided max-T permutation test" in page
    assert Path("out/compare.png").read_bytes().startswith(b"\x89PNG")
    record = written()
    assert (record["verdict"], record["exit_code"], record["before"]) == (
        "not worse",
        0,
        "a<b>.csv",
    )
    Path("file").touch()
    assert compare("a<b>.csv", "b.csv", *words[:-1], "out/compare.md/x") == 2
