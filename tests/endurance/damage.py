"""What can happen to a file or folder of a workdir."""

import json
import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

Damage = Callable[[Path, Path, random.Random], None]
"""`damage(path, outside, draw)` changes a path; `outside` is an empty folder that is no
part of the workdir."""


def remove(path: Path) -> None:
    """Remove a file, a link or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _flip(path: Path, outside: Path, draw: random.Random) -> None:
    raw = bytearray(path.read_bytes())
    raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    path.write_bytes(raw)


def _halve(path: Path, outside: Path, draw: random.Random) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path, outside: Path, draw: random.Random) -> None:
    os.truncate(path, 0)


def _delete(path: Path, outside: Path, draw: random.Random) -> None:
    remove(path)


def _folder(path: Path, outside: Path, draw: random.Random) -> None:
    remove(path)
    path.mkdir()


def _file(path: Path, outside: Path, draw: random.Random) -> None:
    remove(path)
    path.write_text("something else")


def _inside_gone(path: Path, outside: Path, draw: random.Random) -> None:
    for inner in path.iterdir():
        if inner.is_dir():
            shutil.rmtree(inner)


def _link(path: Path, outside: Path, draw: random.Random) -> None:
    shutil.move(path, outside)
    path.symlink_to(outside / path.name)


def _dangling(path: Path, outside: Path, draw: random.Random) -> None:
    remove(path)
    path.symlink_to(outside / "nothing")


FILE: Mapping[str, Damage] = {
    "half": _halve,
    "empty": _empty,
    "flipped": _flip,
    "deleted": _delete,
    "a folder": _folder,
    "a link": _link,
    "a dangling link": _dangling,
}
FOLDER: Mapping[str, Damage] = {
    "deleted": _delete,
    "empty": _folder,
    "without its folders": _inside_gone,
    "a file": _file,
    "a link": _link,
    "a dangling link": _dangling,
}


def _nest(path: Path, outside: Path, draw: random.Random) -> None:
    path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000)


def _edit(change: Callable[[dict, str], None]) -> Damage:
    """Return the damage that changes an entry of each JSON object, a line each."""

    def damage(path: Path, outside: Path, draw: random.Random) -> None:
        values = [json.loads(text) for text in _documents(path)]
        for value in values:
            change(value, draw.choice(sorted(value)))
        path.write_text("\n".join(map(json.dumps, values)) + "\n")

    return damage


def _documents(path: Path) -> list[str]:
    text = path.read_text()
    return text.splitlines() if path.suffix == ".jsonl" else [text]


JSON: Mapping[str, Damage] = {
    **FILE,
    "nested": _nest,
    "without a key": _edit(lambda value, key: value.pop(key)),
    "text for a value": _edit(lambda value, key: value.update({key: "text"})),
    "with another key": _edit(lambda value, key: value.update(another=1)),
}


def ways(path: str) -> Mapping[str, Damage]:
    """Return the damage that a file or folder can take, by its name."""
    if path.endswith((".json", ".jsonl")):
        return JSON
    return FOLDER if path.endswith("/") else FILE
