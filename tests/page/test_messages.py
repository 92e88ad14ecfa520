"""Frames: what is encoded is decoded, and other bytes are refused in a line."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from gan_jax.apps.serve.messages import LARGEST, Message, decode, encode, error, file
from gan_jax.config.errors import InputError

RESERVED = {"type", "request", "arrays"}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, width=32)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
).filter(lambda value: "inf" not in repr(value))
ARRAYS = st.sampled_from(["uint8", "float32"]).flatmap(
    lambda kind: arrays_of.arrays(
        kind, arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    )
)
MESSAGES = st.builds(
    Message,
    st.text(),
    st.integers(0, 2**53),
    st.dictionaries(st.text().filter(lambda name: name not in RESERVED), JSON),
    st.dictionaries(st.text(), ARRAYS, max_size=8),
)


@given(MESSAGES)
@settings(max_examples=60, deadline=None)
def test_what_is_encoded_is_decoded(message):
    found = decode(encode(message))
    assert found[:3] == message[:3]
    assert [*found.arrays] == [*message.arrays]
    for name, array in message.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def framed(header, content=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(4, "little") + text + content


@given(st.binary(max_size=200) | st.binary(max_size=200).map(framed) | JSON.map(framed))
@settings(max_examples=100, deadline=None)
def test_no_bytes_lead_to_anything_but_a_line(frame):
    try:
        decode(frame)
    except InputError as reason:
        assert "\n" not in str(reason)


@given(MESSAGES, st.data())
@settings(max_examples=60, deadline=None)
def test_a_message_cut_or_altered_is_another_or_a_line(message, data):
    frame = bytearray(encode(message))
    place = data.draw(st.integers(0, len(frame) - 1))
    if data.draw(st.booleans()):
        del frame[place:]
    else:
        frame[place] ^= data.draw(st.integers(1, 255))
    try:
        decode(bytes(frame))
    except InputError as reason:
        assert "\n" not in str(reason)


SIDES = st.integers(-1, 5) | st.sampled_from([2**24, LARGEST, LARGEST + 1, 2**63])
LISTED = st.tuples(
    st.text(max_size=3),
    st.sampled_from(["uint8", "float32", "int8"]),
    st.lists(SIDES, max_size=9),
)


@given(st.lists(LISTED, max_size=3), st.binary(max_size=32))
@settings(max_examples=200, deadline=None)
def test_any_shape_is_an_array_or_a_line(listed, content):
    try:
        found = decode(
            framed({"type": "draw", "request": 1, "arrays": listed}, content)
        )
    except InputError as reason:
        assert "\n" not in str(reason)
    else:
        shapes = {name: tuple(shape) for name, _, shape in listed}
        assert {name: each.shape for name, each in found.arrays.items()} == shapes


def test_what_is_wrong_with_an_array_is_shown_in_short():
    with pytest.raises(InputError) as caught:
        decode(framed({"type": "draw", "request": 1, "arrays": [["a" * 60_000]]}))
    assert len(str(caught.value)) < 120


HEADER = {"type": "draw", "request": 1, "arrays": []}


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0\0\0",
        framed(b""),
        framed(b"[" * 60_000),
        framed(b"\xff"),
        framed([]),
        framed({"type": "draw"}),
        framed({**HEADER, "request": True}),
        framed({**HEADER, "request": -1}),
        framed({**HEADER, "type": 3}),
        framed({**HEADER, "arrays": {}}),
        framed({**HEADER, "arrays": [["a", "uint8", [0]]] * 9}),
        framed({**HEADER, "arrays": [["a", "int64", [1]]]}, b"12345678"),
        framed({**HEADER, "arrays": [["a", "uint8", [-1]]]}),
        framed({**HEADER, "arrays": [["a", "uint8", [2.0]]]}, b"12"),
        framed({**HEADER, "arrays": [["a", "uint8", [2**25] * 8]]}, b"12"),
        framed({**HEADER, "arrays": [["a", "uint8", [2**25, 2**25, 2**25, 0]]]}),
        framed({**HEADER, "arrays": [["a", "uint8", [2]]]}, b"1"),
        framed({**HEADER, "arrays": [["a", "uint8", [1]]]}, b"12"),
        (2**32 - 1).to_bytes(4, "little") + b"{}",
        framed(HEADER, bytes(LARGEST)),
    ],
    ids=range(21),
)
def test_what_is_no_message_is_refused(frame):
    with pytest.raises(InputError, match=r"^a (frame|message)"):
        decode(frame)


def test_a_message_of_the_largest_size_is_read():
    head = {**HEADER, "arrays": [["a", "uint8", [LARGEST - 1000]]]}
    assert decode(framed(head, bytes(LARGEST - 1000))).arrays["a"].size > 2**24


def test_what_is_not_finite_is_not_sent():
    with pytest.raises(ValueError):
        encode(Message("scored", 1, {"score": float("nan")}, {}))


def test_a_line_of_an_error_cannot_command_a_terminal():
    assert error(3, "no \x1b[2J\n<img>").entries == {"message": r"no \u001b[2J\n<img>"}


def test_a_file_arrives_as_it_was_sent():
    request = Message("save", 5, {}, {})
    found = decode(encode(file(request, "a.csv", "text/csv", b"x,y\n")))
    assert (found.type, found.request) == ("file", 5)
    assert found.arrays["content"].tobytes() == b"x,y\n"
