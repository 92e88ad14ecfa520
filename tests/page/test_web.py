"""The socket: connections, limits, and what a broken or slow page leads to."""

import asyncio
import json
import logging
import socket
import threading
import time
from unittest import mock

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gan_jax.apps.serve import run
from gan_jax.apps.serve.messages import LARGEST, Message, encode
from gan_jax.apps.serve.model import Answer, of_image, of_page
from gan_jax.apps.serve.web import BUSY, EXPIRED
from tests.page.serving import browsing, serving

SIDE = 1000
DELAY = 0.02


class Slow:
    """A run whose answers take a while, and are large if asked to be."""

    def __init__(self):
        self.drawn, self.closed = [], threading.Event()

    def answers(self):
        given = {
            "draw": Answer(self.draw, of_image),
            "large": Answer(self.large),
            "complete": Answer(self.search, of_page, is_search=True),
        }
        return {"run": given}

    def draw(self, session, message):
        time.sleep(DELAY)
        self.drawn.append(message.request)
        yield Message("done", message.request, {}, {})

    def large(self, session, message):
        image = np.zeros((SIDE, SIDE), np.uint8)
        for at in range(200):
            self.drawn.append(at)
            yield Message("image", message.request, {"at": at}, {"image": image})

    def search(self, session, message):
        try:
            while True:
                time.sleep(DELAY)
                yield Message("next", message.request, {}, {})
        finally:
            self.closed.set()


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def served(slow):
    with serving(slow.answers()) as (address, worker):
        yield address, worker


def code_of(browser):
    with pytest.raises(ConnectionClosed) as closed:
        browser.receive()
    return closed.value.rcvd.code


def until(reached):
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_hundred_strokes_leave_nothing_behind(served, slow):
    with browsing(served[0]) as browser:
        for at in range(200):
            browser.send("draw", at)
            time.sleep(0.001)
        began, answered = time.monotonic(), []
        while not answered or answered[-1] != 199:
            answered.append(browser.receive().request)
        assert time.monotonic() - began < 0.5  # 200 of them take 4 seconds
    assert answered == slow.drawn == sorted(answered)
    assert len(answered) < 100


def waits(made):
    """Return whether nothing is made for a while."""
    before = len(made)
    time.sleep(0.3)
    return 0 < before == len(made)


def bad_frames():
    header = {"type": "draw", "request": 1, "run": "run", "arrays": []}
    text = json.dumps(header).encode()
    yield b""
    yield b"\xff" * 100
    yield len(text).to_bytes(4, "little") + text + b"1"
    yield "text"
    yield bytes(LARGEST + 1)


def test_a_bad_frame_is_an_error_and_the_page_goes_on(served):
    with browsing(served[0]) as browser:
        for frame in bad_frames():
            browser.socket.send(frame)
            answer = browser.receive()
            assert (answer.type, answer.request) == ("error", 0)
        assert browser.ask("draw", 7).request == 7
        assert browser.ask("nothing", 8).type == "error"
        assert browser.ask("draw", 9, run="no").type == "error"


def test_a_frame_beyond_all_limits_ends_its_page_alone(served):
    with browsing(served[0]) as browser, browsing(served[0]) as other:
        with pytest.raises((ConnectionClosed, OSError)):
            browser.socket.send(bytes(LARGEST + 2))
            browser.receive()
        assert other.ask("draw", 1).request == 1


def test_no_more_pages_are_open_than_may_be(slow):
    with serving(slow.answers(), most=1) as (address, worker):
        with browsing(address) as first:
            with browsing(address) as second:
                line = second.runs.entries["message"]
                assert line.startswith("1 page is open") and "--sessions" in line
                assert code_of(second) == BUSY
            assert first.ask("draw", 1).request == 1
        until(lambda: not worker._pages)
        with browsing(address) as third:
            assert third.ask("draw", 2).request == 2


def test_an_idle_page_is_closed(slow):
    with serving(slow.answers(), idle=0.3) as (address, worker):
        with browsing(address) as browser:
            for at in range(3):
                time.sleep(0.15)
                assert browser.ask("draw", at).request == at
            assert code_of(browser) == EXPIRED
        until(lambda: not worker._pages)


def test_a_page_that_leaves_ends_its_search(served, slow):
    with browsing(served[0]) as browser:
        assert browser.ask("complete", 1).type == "next"
    assert slow.closed.wait(30)
    until(lambda: not served[1]._pages)


@pytest.mark.parametrize("kind", ["large", "complete"])
def test_a_page_that_vanishes_is_no_error(served, caplog, kind):
    address, worker = served

    async def vanish():
        url = f"ws://127.0.0.1:{address.port}/socket"
        async with connect(url, compression=None) as connected:
            await connected.send(encode(Message(kind, 1, {"run": "run"}, {})))
            await connected.recv()
            await connected.recv()
            connected.transport.abort()

    asyncio.run(vanish())
    until(lambda: not worker._pages)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_a_connection_that_asks_for_nothing_is_closed(slow, monkeypatch):
    monkeypatch.setattr(run, "HANDSHAKE", 0.3)
    with serving(slow.answers()) as (address, _), browsing(address) as browser:
        place = ("127.0.0.1", address.port)
        with socket.create_connection(place, 30) as silent:
            assert silent.recv(1) == b""
        with socket.create_connection(place, 30) as slow_one:
            slow_one.sendall(b"GET / HTTP/1.1\r\n")
            assert slow_one.recv(1) == b""
        assert browser.ask("draw", 1).request == 1  # it has asked in time


def test_what_is_no_http_is_refused_quietly(served, caplog):
    with socket.create_connection(("127.0.0.1", served[0].port), 30) as other:
        other.sendall(b"\0\1\2\r\n\r\n")
        assert other.recv(100).startswith(b"HTTP/1.1 400")
    assert not caplog.records


def test_a_page_that_takes_nothing_is_closed_in_the_end(slow):
    served = serving(slow.answers(), patience=0.3)
    with served as (address, worker), browsing(address) as browser:
        browser.send("large", 1)
        until(lambda: not worker._pages)
        assert len(slow.drawn) < 150
        with pytest.raises(ConnectionClosed):
            while True:
                browser.receive()


def test_a_bug_is_not_hidden(served, caplog):
    address, worker = served
    with mock.patch.object(worker, "ask", side_effect=ZeroDivisionError):
        with pytest.raises(ConnectionClosed), browsing(address) as browser:
            browser.ask("draw", 1)
        until(lambda: not worker._pages)
        until(lambda: "ZeroDivisionError" in caplog.text)


def test_a_page_that_does_not_read_is_waited_for(served, slow):
    """It is sent what fits on the way, and then nothing more is made."""
    with browsing(served[0]) as browser, browsing(served[0]) as other:
        browser.send("large", 1)
        until(lambda: waits(slow.drawn))
        assert len(slow.drawn) < 150
        assert other.ask("draw", 1000).request == 1000
        assert [browser.receive().entries["at"] for _ in range(200)] == [*range(200)]
