"""What files hold, to be compared with what they held before.

Files count by their content and by their path below a folder: a folder that was moved,
or whose files were only touched, is the same.
"""

import collections
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gan_jax.data.memory import open_file

_DIGITS = 32  # hexadecimal ones of a SHA-256 that are kept
_NAMED = 3  # files that a line names


class Content(NamedTuple):
    """The content of a file."""

    size: int
    """Bytes."""
    sha256: str
    """The first 32 hexadecimal digits."""
    holds: str = ""
    """What it holds, in words, e.g. `1,200 images`; empty for a single image."""


Contents = Mapping[str, Content]
"""Contents of files by their path, with `/` between its parts."""


def content_of(file: Path, holds: str = "") -> Content:
    """Return the content of a file.

    Raises:
        UnreadableFileError: If there is no such file, or it may not be read.
        OSError: If the disk failed.
    """
    with open_file(file) as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return Content(stream.tell(), digest.hexdigest()[:_DIGITS], holds)


def content_by(description: bytes, size: int, holds: str) -> Content:
    """Return the content of data of a size in bytes, identified by a description."""
    return Content(size, hashlib.sha256(description).hexdigest()[:_DIGITS], holds)


def as_json(contents: Contents) -> dict[str, str]:
    """Return contents as texts, one for each file: bytes, SHA-256, what it holds."""
    return {
        path: f"{size} {sha256} {holds}".rstrip()
        for path, (size, sha256, holds) in contents.items()
    }


def from_json(texts: Mapping[str, Any]) -> dict[str, Content]:
    """Return the contents in texts that `as_json` returned.

    Raises:
        ValueError: If they are damaged.
    """
    contents = {}
    for path, text in texts.items():
        size, sha256, *holds = str(text).split(" ", 2)
        contents[path] = Content(int(size), sha256, *holds)
    return contents


def differences(before: Contents, now: Contents) -> list[str]:
    """Return what was added, is gone, was changed and was renamed, a line for each.

    A file that is gone counts as renamed where an added one has its content. Each line
    has the number of files and names the first three.
    """
    gone = [path for path in before if path not in now]
    added = [path for path in now if path not in before]
    by_content = collections.defaultdict(list)
    for path in reversed(added):
        by_content[now[path].sha256].append(path)
    renamed = {
        path: same.pop() for path in gone if (same := by_content[before[path].sha256])
    }
    again = {*renamed.values()}
    kinds = {
        "added": [_held(path, now) for path in added if path not in again],
        "gone": [_held(path, before) for path in gone if path not in renamed],
        "changed": [
            _changed(path, before[path], now[path])
            for path in before
            if path in now and now[path] != before[path]
        ],
        "renamed": [f"{path} -> {new}" for path, new in renamed.items()],
    }
    return [_line(kind, named) for kind, named in kinds.items() if named]


def _line(kind: str, named: list[str]) -> str:
    more = ", ..." if len(named) > _NAMED else ""
    return f"{len(named):,} {kind} ({', '.join(named[:_NAMED])}{more})"


def _held(path: str, contents: Contents) -> str:
    holds = contents[path].holds
    return f"{path}: {holds}" if holds else path


def _changed(path: str, before: Content, now: Content) -> str:
    if before.holds == now.holds:
        return f"{path}: {now.holds} with other values" if now.holds else path
    return f"{path}: {before.holds or 'an image'} before, {now.holds or 'an image'} now"
