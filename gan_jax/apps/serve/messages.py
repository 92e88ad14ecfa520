"""Messages between the page and its server: a header in JSON, and arrays.

A message is one binary frame: four bytes with the length of the header (unsigned,
little endian), the header as UTF-8, and the arrays one after the other, in C order and
little endian. The entry `arrays` of the header lists their names, kinds and shapes.
docs/page.md lists the messages.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gan_jax.config.errors import InputError, printable

LARGEST = 2**25
"""Bytes of a frame that is read, at most: a photograph and a mask of it."""

_LENGTH = 4  # bytes of the length of the header
_HEADER = 2**16  # bytes of a header, at most
_ARRAYS = 8  # arrays of a message, at most
_SHOWN = 80  # characters of what is wrong with one
_KINDS: dict[str, np.dtype[Any]] = {"uint8": np.dtype("u1"), "float32": np.dtype("<f4")}


class Message(NamedTuple):
    """A request of the page, or an answer to it."""

    type: str
    request: int
    """Number of the request; the answers to it repeat it."""
    entries: Mapping[str, Any]
    """Further entries of the header."""
    arrays: Mapping[str, np.ndarray]


def encode(message: Message) -> bytes:
    """Return a message as a frame.

    Raises:
        KeyError: If an array is of another kind than 8-bit unsigned integers and 32-bit
            floats.
        ValueError: If an entry is not finite.
    """
    kinds = {kind: name for name, kind in _KINDS.items()}
    listed = [
        [name, kinds[array.dtype], list(array.shape)]
        for name, array in message.arrays.items()
    ]
    header = {
        "type": message.type,
        "request": message.request,
        **message.entries,
        "arrays": listed,
    }
    text = json.dumps(header, allow_nan=False).encode()
    parts = [np.ascontiguousarray(array).tobytes() for array in message.arrays.values()]
    return b"".join([len(text).to_bytes(_LENGTH, "little"), text, *parts])


def decode(frame: bytes) -> Message:
    """Return the message of a frame.

    Raises:
        InputError: If the frame is no message.
    """
    size = int.from_bytes(frame[:_LENGTH], "little")
    end = _LENGTH + size
    if len(frame) > LARGEST or size > _HEADER or end > len(frame):
        raise InputError("a frame that is too long or too short for its header")
    try:
        header = json.loads(frame[_LENGTH:end].decode())
    except (ValueError, RecursionError):
        raise InputError("a frame whose header is no JSON") from None
    if not isinstance(header, dict):
        raise InputError("a frame whose header is no object")
    kind, request = header.pop("type", None), header.pop("request", None)
    if not isinstance(kind, str) or type(request) is not int or request < 0:
        raise InputError("a message without a type, or without the number of a request")
    arrays = _arrays(header.pop("arrays", []), memoryview(frame)[end:])
    return Message(kind, request, header, arrays)


def _arrays(listed: Any, content: memoryview) -> dict[str, np.ndarray]:
    """Return the arrays that a header lists.

    Raises:
        InputError: If the list is malformed, or the content is longer or shorter.
    """
    if not isinstance(listed, list) or len(listed) > _ARRAYS:
        raise InputError(f"a message with more than {_ARRAYS} arrays, or no list")
    arrays: dict[str, np.ndarray] = {}
    for each in listed:
        match each:
            case [str(name), str(kind), [*shape]] if (
                kind in _KINDS
                and len(shape) <= _ARRAYS
                and all(type(side) is int and 0 <= side <= LARGEST for side in shape)
                # An empty array has bounded sides too, for NumPy multiplies them.
                and math.prod(side for side in shape if side) <= LARGEST
            ):
                size = math.prod(shape) * _KINDS[kind].itemsize
            case _:
                shown = printable(str(each)[:_SHOWN])
                raise InputError(f"a message with the array {shown}")
        if size > len(content):
            raise InputError("a message that is shorter than its arrays")
        array = np.frombuffer(content[:size], _KINDS[kind])
        arrays[name] = array.reshape(shape)
        content = content[size:]
    if len(content):
        raise InputError("a message that is longer than its arrays")
    return arrays


def file(request: Message, name: str, media: str, content: bytes) -> Message:
    """Return the message that sends a file, in answer to a request.

    Args:
        request: The request.
        name: Name under which the file is to be saved.
        media: Its media type, e.g. `image/png`.
        content: Its content.
    """
    entries = {"name": name, "media": media}
    return Message(
        "file", request.request, entries, {"content": np.frombuffer(content, np.uint8)}
    )


def error(request: int, line: str) -> Message:
    """Return the message of an error, a line for the user."""
    return Message("error", request, {"message": printable(line)}, {})
