"""The corpus: generated, read, and compared."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from hnrnn import corpus
from hnrnn.corpus import Corpus, CorpusError


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "one"),
        (10, "ten"),
        (19, "nineteen"),
        (20, "twenty"),
        (99, "ninety nine"),
        (100, "one hundred"),
        (115, "one hundred fifteen"),
        (1000, "one thousand"),
        (8001, "eight thousand one"),
        (9999, "nine thousand nine hundred ninety nine"),
    ],
)
def test_number_in_words(number: int, words: str) -> None:
    """Numbers are written without "and" and without hyphens."""
    assert corpus.number_in_words(number) == words


@pytest.mark.parametrize("number", [0, -1, 10000])
def test_number_out_of_range(number: int) -> None:
    """A number outside the corpus is refused."""
    with pytest.raises(ValueError, match="from 1 to 9999"):
        corpus.number_in_words(number)


def test_generate_skips_8000() -> None:
    """Training ends at 7999, validation starts at 8001, and every number is there once."""
    generated = corpus.generate()
    assert generated.train.endswith("seven thousand nine hundred ninety nine")
    assert generated.valid.startswith("eight thousand one, ")
    assert len(set(generated.train.split(", "))) == 7999
    assert len(set(generated.valid.split(", "))) == 1999


def write_copy(folder: Path, change: tuple[str, str] = ("", "")) -> Path:
    """Write the corpus as fast.ai publishes it: one number per line, with a space after each."""
    folder.mkdir(parents=True)
    generated = corpus.generate()
    for name, text in (("train.txt", generated.train), ("valid.txt", generated.valid)):
        lines = text.replace(*change).split(", ") if change[0] else text.split(", ")
        (folder / name).write_text("".join(f"{line} \n" for line in lines))
    return folder


def test_load_folder(tmp_path: Path) -> None:
    """A folder with one number per line is read as the same text."""
    folder = write_copy(tmp_path / "human_numbers")
    assert corpus.load(folder) == corpus.generate()


def test_load_tar(tmp_path: Path) -> None:
    """A compressed tar archive is read, and nothing is unpacked beside it."""
    folder = write_copy(tmp_path / "source" / "human_numbers")
    archive = tmp_path / "human_numbers.tgz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, "human_numbers")
    before = sorted(tmp_path.rglob("*"))
    assert corpus.load(archive) == corpus.generate()
    assert sorted(tmp_path.rglob("*")) == before


def test_load_zip(tmp_path: Path) -> None:
    """A zip archive is read too."""
    folder = write_copy(tmp_path / "human_numbers")
    archive = tmp_path / "human_numbers.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.iterdir():
            file.write(path, f"human_numbers/{path.name}")
    assert corpus.load(archive) == corpus.generate()


def test_load_shows_the_first_difference(tmp_path: Path) -> None:
    """A copy that differs is refused with the place of the first difference."""
    folder = write_copy(tmp_path / "copy", change=("eight thousand three,", "eight thousand tree,"))
    with pytest.raises(CorpusError, match="validation number 3 is 'eight thousand tree'"):
        corpus.load(folder)


def test_first_difference_of_a_short_copy() -> None:
    """A copy that ends early differs at its end."""
    generated = corpus.generate()
    short = Corpus(generated.train.rsplit(", ", 1)[0], generated.valid)
    difference = corpus.first_difference(short, generated)
    assert difference is not None
    assert difference.startswith("training number 7999 is missing")


def test_read_errors(tmp_path: Path) -> None:
    """A missing file, or one that is not an archive, is named in one line."""
    with pytest.raises(
        CorpusError, match=r"there is no .*nowhere: give the human_numbers folder or archive"
    ):
        corpus.read(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"no train\.txt and no valid\.txt"):
        corpus.read(tmp_path)
    plain = tmp_path / "plain.bin"
    plain.write_bytes(b"no archive")
    with pytest.raises(CorpusError, match="neither a folder nor a sound tar or zip") as caught:
        corpus.read(plain)
    assert "\n" not in str(caught.value)
    (tmp_path / "train.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "valid.txt").write_bytes(b"one\n")
    with pytest.raises(CorpusError, match="UTF-8"):
        corpus.read(tmp_path)


def test_read_cut_archive(tmp_path: Path) -> None:
    """A truncated archive is refused."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        file.add(write_copy(tmp_path / "copy"), "human_numbers")
    cut = tmp_path / "cut.tgz"
    cut.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(CorpusError, match="archive"):
        corpus.read(cut)
