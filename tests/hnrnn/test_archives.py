"""Damaged and hostile copies of the corpus: each is refused with one line."""

from __future__ import annotations

import io
import os
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench.__main__ import main as bench
from hnrnn import archives, corpus
from hnrnn.__main__ import main as hnrnn
from hnrnn.corpus import CorpusError

TRAIN, VALID = (
    text.replace(", ", "\n").encode() for text in (corpus.generate().train, corpus.generate().valid)
)
COPY = [("human_numbers/train.txt", TRAIN), ("human_numbers/valid.txt", VALID)]
TOO_LARGE = bytes(archives.LARGEST_FILE + 1)
FUZZ_CASES = 100
"""Corruptions of each kind of archive."""

Members = Sequence[tuple[str, bytes]]


def tar(mode: str = "", members: Members = COPY, **train: object) -> bytes:
    """Return a tar archive; ``train`` sets fields of its first member, which is then not a file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{mode}") as archive:
        for place, (name, content) in enumerate(members):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if train and place == 0:
                member.size = 0
                for field, value in train.items():
                    setattr(member, field, value)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zipped(
    members: Members = COPY, method: int = zipfile.ZIP_DEFLATED, mode: int = stat.S_IFREG
) -> bytes:
    """Return a zip archive whose members have the given mode, of a file or of a link."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            member = zipfile.ZipInfo(name)
            member.external_attr = (mode | 0o644) << 16
            member.compress_type = method
            archive.writestr(member, content)
    return buffer.getvalue()


def with_third_party(archive: bytes, offset: int, value: int) -> bytes:
    """Return a zip archive whose members have another byte at ``offset`` of both their headers."""
    changed = bytearray(archive)
    for mark, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        place = archive.find(mark)
        while place >= 0:
            changed[place + offset + shift] = value
            place = archive.find(mark, place + 1)
    return bytes(changed)


FLAGS, METHOD = 6, 8
"""Offsets in a local header."""
GOOD = {
    "tar": tar(),
    "tar.gz": tar("gz"),
    "tar.bz2": tar("bz2"),
    "tar.xz": tar("xz"),
    "zip": zipped(),
    "zip with bzip2": zipped(method=zipfile.ZIP_BZIP2),
    "macOS zip": zipped(
        [*COPY, ("human_numbers/._train.txt", b"x"), ("__MACOSX/human_numbers/train.txt", b"x")]
    ),
    "macOS tar": tar("gz", [("./human_numbers/._train.txt", b"x"), *COPY]),
    "at the top": tar("gz", [("train.txt", TRAIN), ("valid.txt", VALID)]),
    "beside others": tar("gz", [("human_numbers/notes.txt", TOO_LARGE), *COPY]),
    "blank lines, CRLF and a byte order mark": zipped(
        [
            ("train.txt", b"\xef\xbb\xbf" + TRAIN.replace(b"\n", b" \r\n") + b"\r\n\r\n \n"),
            ("valid.txt", VALID + b"\n\n"),
        ]
    ),
}
NO_ARCHIVE = "neither a folder nor a sound tar or zip archive"
NO_FILE = "train.txt in .* is a link, folder or device, not a file"
BAD = {
    "nothing": (b"", NO_ARCHIVE),
    "text": (b"one\ntwo\n", NO_ARCHIVE),
    "encrypted zip": (with_third_party(zipped(), FLAGS, 1), "train.txt in .* is encrypted"),
    "Deflate64": (with_third_party(zipped(), METHOD, 9), "train.txt in .* by an unknown method"),
    "LZMA": (zipped(method=zipfile.ZIP_LZMA), "train.txt in .* by an unknown method"),
    "damaged zip": (zipped().replace(zipped()[3000:3100], bytes(100)), NO_ARCHIVE),
    "cut zip": (zipped()[:5000], NO_ARCHIVE),
    "cut tar": (tar()[:5000], NO_ARCHIVE),
    "cut tar.gz": (tar("gz")[:5000], NO_ARCHIVE),
    "cut tar.bz2": (tar("bz2")[:5000], NO_ARCHIVE),
    "cut tar.xz": (tar("xz")[:5000], NO_ARCHIVE),
    "files in two folders": (zipped([("train.txt", TRAIN), COPY[1]]), "holds more than one copy"),
    "large file in zip": (
        zipped([("human_numbers/train.txt", TOO_LARGE), COPY[1]]),
        "train.txt in .* is larger than 4 MiB",
    ),
    "large file in tar": (
        tar("gz", [("human_numbers/train.txt", TOO_LARGE), COPY[1]]),
        "train.txt in .* is larger than 4 MiB",
    ),
    "bomb of gzip": (tar("gz", [*COPY, ("x", bytes(2**24))]), "unpacked, is larger than 16 MiB"),
    "bomb of bzip2": (tar("bz2", [*COPY, ("x", bytes(2**24))]), "unpacked, is larger than 16 MiB"),
    "bomb of xz": (tar("xz", [*COPY, ("x", bytes(2**24))]), "unpacked, is larger than 16 MiB"),
    "large archive": (bytes(archives.LARGEST_ARCHIVE + 1), "is larger than 16 MiB"),
    "link": (tar(type=tarfile.SYMTYPE, linkname="/etc/passwd"), NO_FILE),
    "hard link": (tar(type=tarfile.LNKTYPE, linkname="human_numbers/valid.txt"), NO_FILE),
    "device": (tar(type=tarfile.CHRTYPE, devmajor=1, devminor=5), NO_FILE),
    "folder": (tar(type=tarfile.DIRTYPE), NO_FILE),
    "link in zip": (zipped(mode=stat.S_IFLNK), "train.txt in .* is a link or device, not a file"),
    "two in tar": (tar("gz", [*COPY, ("old/train.txt", TRAIN)]), "holds more than one copy"),
    "two in zip": (zipped([*COPY, ("old/train.txt", TRAIN)]), "holds more than one copy"),
    "the same twice": (tar("gz", [*COPY, COPY[0]]), "holds more than one copy"),
    "one of two": (tar("gz", COPY[:1]), "holds no valid.txt"),
    "macOS attributes alone": (
        zipped([(f"__MACOSX/{name}", content) for name, content in COPY]),
        "holds no train.txt and no valid.txt",
    ),
    "no text": (tar("gz", [COPY[0], (COPY[1][0], b"\xff\xfeo\x00")]), "is not UTF-8 text"),
}


@pytest.mark.parametrize("content", GOOD.values(), ids=[*GOOD])
def test_good_archives(content: bytes, tmp_path: Path) -> None:
    """Every usual form of the corpus is read as the same text."""
    (tmp_path / "copy").write_bytes(content)
    assert corpus.load(tmp_path / "copy") == corpus.generate()


@pytest.mark.parametrize(("content", "right"), BAD.values(), ids=[*BAD])
def test_bad_archives(content: bytes, right: str, tmp_path: Path) -> None:
    """Any other content of an archive is one error of one line."""
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(CorpusError, match=right) as caught:
        corpus.load(tmp_path / "copy")
    assert "\n" not in str(caught.value)


def corrupted(content: bytes, chance: random.Random) -> bytes:
    """Return an archive with some bytes changed, removed, doubled or added."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        # Headers and footers are hit as often as what is between them.
        near_end = chance.choice((64, 1024, len(changed)))
        place = min(chance.randrange(near_end), len(changed) - 1)
        place = chance.choice((place, len(changed) - 1 - place))
        run = chance.randint(1, 40)
        changed[place : place + chance.choice((0, run))] = chance.choice(
            (
                b"",
                chance.randbytes(run),
                bytes(run),
                b"\xff" * run,
                bytes(changed[place : place + run]) * 2,
                bytes([changed[place] ^ (1 << chance.randrange(8))]),
            )
        )
    return bytes(changed[: chance.choice((None, None, None, chance.randrange(len(changed) + 1)))])


def fuzz(content: bytes, cases: int, folder: Path) -> int:
    """Corrupt an archive ``times`` times; return how often it is still the right corpus."""
    right, chance = 0, random.Random(0)  # noqa: S311  # nothing secret
    for _ in range(cases):
        (folder / "copy").write_bytes(corrupted(content, chance))
        try:
            right += corpus.load(folder / "copy") == corpus.generate()
        except CorpusError as error:
            assert "\n" not in str(error)  # noqa: PT017
    return right


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip"])
def test_corrupt_archives(kind: str, tmp_path: Path) -> None:
    """A corrupt archive is the right corpus or one error, and never another exception."""
    right = fuzz(GOOD[kind], FUZZ_CASES, tmp_path)
    assert right < FUZZ_CASES


def folder_of(path: Path) -> Path:
    """Write the copy as a folder."""
    path.mkdir(parents=True)
    (path / "train.txt").write_bytes(TRAIN)
    (path / "valid.txt").write_bytes(VALID)
    return path


def foreign_files(copy: Path) -> None:
    """Add files that do not belong to the corpus."""
    (copy / "notes.txt").mkdir()
    (copy / "more.txt").symlink_to("nowhere")
    os.mkfifo(copy / "pipe.txt")
    (copy / "._train.txt").write_bytes(b"\x00")
    (copy / "old").mkdir()
    (copy / "old" / "train.txt").write_bytes(b"one")


def test_only_the_two_files_are_read(tmp_path: Path) -> None:
    """Other files in the folder, or beside it, are ignored."""
    copy = folder_of(tmp_path / "parent" / "human_numbers")
    foreign_files(copy)
    assert corpus.load(copy) == corpus.generate()
    assert corpus.load(copy.parent) == corpus.generate()
    (tmp_path / "parent" / "__MACOSX").mkdir()
    (tmp_path / "parent" / "__MACOSX" / "train.txt").write_bytes(b"x")
    assert corpus.load(copy.parent) == corpus.generate()


def replace_train(make: Callable[[Path], object]) -> Callable[[Path], Path]:
    """Return a function that makes a folder whose train.txt is not a regular file."""

    def made(tmp_path: Path) -> Path:
        copy = folder_of(tmp_path / "human_numbers")
        (copy / "train.txt").unlink()
        make(copy / "train.txt")
        return copy

    return made


def two_folders(tmp_path: Path) -> Path:
    """Return a folder with two copies."""
    return folder_of(folder_of(tmp_path / "both" / "a").parent / "b").parent


BAD_PATHS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (lambda path: path / "none", "there is no"),
    "device": (lambda _: Path("/dev/zero"), "/dev/zero is neither a folder nor a file"),
    "link to nothing": (replace_train(lambda path: path.symlink_to("no")), "is a link to nothing"),
    "folder": (replace_train(Path.mkdir), "train.txt is not a regular file"),
    "pipe": (replace_train(os.mkfifo), "train.txt is not a regular file"),
    "zeros": (
        replace_train(lambda path: path.symlink_to("/dev/zero")),
        "train.txt is not a regular file",
    ),
    "large": (
        replace_train(lambda path: path.write_bytes(TOO_LARGE)),
        "train.txt is larger than 4 MiB",
    ),
    "two": (two_folders, "holds more than one copy (a/train.txt, a/valid.txt, b/train.txt,"),
}


@pytest.mark.parametrize("main", [hnrnn, bench], ids=["facts", "run"])
@pytest.mark.parametrize(("make", "right"), BAD_PATHS.values(), ids=[*BAD_PATHS])
def test_bad_paths(
    main: Callable[[list[str]], int],
    make: Callable[[Path], Path],
    right: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both commands with ``--data`` print one line and exit with code 2."""
    command = ["facts"] if main is hnrnn else ["run", "--results", str(tmp_path / "results")]
    assert main([*command, "--data", str(make(tmp_path))]) == 2
    error = capsys.readouterr().err
    assert right in error
    assert error.count("\n") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("what", ["human_numbers", "train.txt"])
def test_unreadable(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder or file without read permission is named, with the reason."""
    copy = folder_of(tmp_path / "human_numbers")

    def refuse(path: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat" if what == "human_numbers" else "open", refuse)
    with pytest.raises(CorpusError, match=rf"cannot read .*{what} \(Permission denied\)"):
        corpus.load(copy)


def test_a_long_line_is_not_quoted_whole(tmp_path: Path) -> None:
    """A copy that consists of one very long line is refused with a short message."""
    copy = folder_of(tmp_path / "human_numbers")
    (copy / "train.txt").write_bytes(b"x" * archives.LARGEST_FILE)
    with pytest.raises(CorpusError) as caught:
        corpus.load(copy)
    assert len(str(caught.value)) < 500
