"""No module unpickles, evaluates or runs what it reads."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.store.store import SCHEMAS, Store
from reports.runs.reading import read
from tests import hostile_data
from tests.places import ROOT

MODULES = sorted(
    path
    for folder in ("hnrnn", "bench", "reports", "tests", ".ci")
    for path in (ROOT / folder).rglob("*.py")
)
UNPICKLERS = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "jsonpickle",
}
RUNNERS = {
    *("eval", "exec", "compile", "__import__"),
    *("torch.load", "np.load", "pd.read_pickle", "pandas.read_pickle", "pd.eval"),
    *("yaml.load", "yaml.full_load", "yaml.unsafe_load", "yaml.load_all"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
}
ALLOWED = {
    ("hnrnn/exports.py", "import_module"),  # of this project's modules, by a table of names
    ("bench/engines/__init__.py", "import_module"),  # likewise
    ("tests/test_packaging.py", "import_module"),  # likewise
    ("tests/test_your_own_model.py", "compile"),  # of our own page's code
    ("tests/test_your_own_model.py", "exec"),  # likewise
}
"""What would do more than read data, and is needed."""


def runs_data(path: Path) -> Iterator[str]:
    """Return every import and call of a module by which data could become code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (n.name for n in node.names if n.name.split(".")[0] in UNPICKLERS)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] in UNPICKLERS:
                yield node.module
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in RUNNERS or name.split(".")[-1] in (
                "import_module",
                "run_path",
                "run_module",
            ):
                yield name
            for keyword in node.keywords:
                if keyword.arg in ("shell", "allow_pickle", "weights_only"):
                    yield f"{name}({keyword.arg})"


def test_nothing_is_unpickled_or_evaluated() -> None:
    """No module unpickles, evaluates text, or hands a line to a shell."""
    assert len(MODULES) > 100
    found = {(str(p.relative_to(ROOT)), name) for p in MODULES for name in runs_data(p)}
    assert found == ALLOWED


def test_the_walk_finds_what_it_looks_for(tmp_path: Path) -> None:
    """The search finds every known way to run data."""
    source = tmp_path / "module.py"
    lines = [
        "import pickle", "from joblib import load", "import a, marshal", "eval(x)", "exec(x)",
        "torch.load(x)", "yaml.load(x)", "run(x, shell=True)", "np.load(x, allow_pickle=True)",
    ]  # fmt: skip
    for line in lines:
        source.write_text(line, encoding="utf-8")
        assert list(runs_data(source)), line
    source.write_text("model.eval(); re.compile(x); frame.to_pickle_like", encoding="utf-8")
    assert not list(runs_data(source))


def test_metadata_are_not_obeyed(tmp_path: Path) -> None:
    """A file's own metadata neither run anything nor change what its columns are.

    Older pyarrow unpickled what a schema named as a Python type.
    """
    payload = f"cposix\nsystem\n(Vtouch {tmp_path / 'injected'}\ntR.".encode()
    sound = hostile_data.sound_contents()
    Store(tmp_path / "store").write_contents(sound)
    for name, schema in SCHEMAS.items():
        path = tmp_path / "store" / name / f"{name}.parquet"
        rows = pq.read_table(path)
        extension = {
            b"ARROW:extension:name": b"arrow.py_extension_type",
            b"ARROW:extension:metadata": payload,
        }
        fields = [f.with_metadata(extension) if f.name == "variant" else f for f in rows.schema]
        index = {"index_columns": ["variant"], "columns": [], "column_indexes": []}
        metadata = schema.metadata | {b"pandas": json.dumps(index).encode()}
        pq.write_table(rows.cast(pa.schema(fields, metadata=metadata)), path)
    read_again = read(tmp_path / "store")
    assert not (tmp_path / "injected").exists()
    assert read_again.unreadable == {}
    for name in SCHEMAS:
        assert [*getattr(read_again, name)] == SCHEMAS[name].names
