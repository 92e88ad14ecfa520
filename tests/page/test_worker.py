"""The worker: order, what overtakes what, and what a failure holds up."""

import threading

import numpy as np
import pytest

from gan_jax.apps.serve.messages import LARGEST, Message, decode
from gan_jax.apps.serve.model import Answer, of_image, of_page
from gan_jax.apps.serve.worker import Worker
from gan_jax.config.errors import InputError

FAILED = "the server failed at this request; its terminal says why"


class Bench:
    """A worker whose answers note what was asked; its pages are read by hand."""

    def __init__(self, most=3, **answers):
        self.log = []
        given = {
            "draw": Answer(self.once, of_image),
            "open": Answer(self.once),
            "score": Answer(self.once, of_image),
            **answers,
        }
        self.worker = Worker({"a": given, "b": given}, most, verbose=True)

    def once(self, session, message):
        self.log.append(message.request)
        yield Message("done", message.request, {}, {})

    def page(self):
        return self.worker.open(lambda: None)

    def ask(self, page, kind, request, run="a", arrays=None, **entries):
        message = Message(kind, request, {"run": run, **entries}, arrays or {})
        self.worker.ask(page, message)

    def work(self, steps=1000):
        """Let the worker take some steps, on this thread; return how many it took."""
        return sum(1 for _ in range(steps) if self.worker.step())

    def read(self, page):
        """Return what was sent to a page: requests, with their types or lines."""
        found = []
        while (frame := self.worker.take(page)) is not None:
            message = decode(frame)
            found.append(
                (message.request, message.entries.get("message", message.type))
            )
        return found


def stream(log, count=100):
    """An answer of many messages, which notes where it ends."""

    def answer(session, message):
        try:
            for at in range(count):
                if session.stopped:
                    yield Message("last", message.request, {"at": at}, {})
                    return
                yield Message("next", message.request, {"at": at}, {})
        finally:
            log.append(("closed", message.request))

    return Answer(answer, of_page, is_search=True)


def test_requests_are_answered_in_their_order():
    bench = Bench()
    page = bench.page()
    bench.ask(page, "open", 1)
    bench.ask(page, "draw", 2)
    bench.ask(page, "open", 3)
    bench.work()
    assert bench.read(page) == [(1, "done"), (2, "done")]
    bench.work()
    assert bench.read(page) == [(3, "done")]


def test_only_the_newest_stroke_is_answered():
    bench = Bench()
    page, other = bench.page(), bench.page()
    for at in range(200):
        bench.ask(page, "draw", at)
        bench.ask(other, "draw", 1000 + at)
    bench.ask(page, "draw", 200, run="b")
    assert len(page.waiting) == 2
    bench.work()
    assert bench.log == [199, 1199, 200]
    assert bench.read(page) == [(199, "done"), (200, "done")]


def test_a_stroke_keeps_the_place_of_the_one_that_it_overtakes():
    bench = Bench()
    page = bench.page()
    for kind, request in (("draw", 1), ("open", 2), ("draw", 3)):
        bench.ask(page, kind, request)
    bench.work()
    assert bench.log == [3, 2]


def test_a_stroke_that_is_being_answered_is_answered():
    """Otherwise nothing would be seen while one draws without a pause."""

    def meanwhile(session, message):
        if message.request == 1:
            bench.ask(page, "draw", 2)
        yield Message("done", message.request, {}, {})

    bench = Bench(draw=Answer(meanwhile, of_image))
    page = bench.page()
    bench.ask(page, "draw", 1)
    bench.work()
    assert bench.read(page) == [(1, "done"), (2, "done")]


def test_scores_of_several_images_and_files_do_not_overtake_each_other():
    bench = Bench()
    page = bench.page()
    for at in range(3):
        bench.ask(page, "score", at, image=at)
        bench.ask(page, "open", 10 + at)
    bench.ask(page, "score", 3, image=0)
    while bench.work():
        bench.read(page)
    assert bench.log == [3, 10, 1, 11, 2, 12]


def test_a_page_that_reads_nothing_holds_up_neither_others_nor_memory():
    log = []
    bench = Bench(complete=stream(log))
    slow, quick = bench.page(), bench.page()
    bench.ask(slow, "complete", 1)
    bench.ask(quick, "draw", 2)
    bench.work()
    assert bench.read(quick) == [(2, "done")]
    assert len(slow.unsent) == 2
    for at in range(50):  # its strokes replace each other
        bench.ask(slow, "draw", at)
    bench.work()
    assert len(slow.unsent) == 2 and len(slow.waiting) == 1
    assert not bench.worker.is_full(slow)
    for at in range(10):
        bench.ask(slow, "open", at)
    assert bench.worker.is_full(slow)


def test_large_requests_fill_a_page_sooner():
    bench = Bench()
    page = bench.page()
    content = {"content": np.zeros(LARGEST // 2, np.uint8)}
    bench.ask(page, "open", 1, arrays=content)
    assert not bench.worker.is_full(page)
    bench.ask(page, "open", 2, arrays=content)
    assert bench.worker.is_full(page)
    bench.work()
    assert not bench.worker.is_full(page)


def test_answers_of_several_pages_go_on_in_turn():
    bench = Bench(complete=stream([], 3))
    pages = [bench.page() for _ in range(3)]
    for at, page in enumerate(pages):
        bench.ask(page, "complete", at)
    for _ in range(6):
        assert bench.worker.step()
    assert [bench.read(page) for page in pages] == [
        [(at, "next")] * 2 for at in (0, 1, 2)
    ]


def test_strokes_are_answered_while_an_answer_goes_on():
    bench = Bench(complete=stream([]))
    page = bench.page()
    bench.ask(page, "complete", 1)
    for at in range(2, 7):
        bench.ask(page, "draw", at)
        bench.work(1)
        bench.ask(page, "open", 10 * at)
        bench.work(1)
        kinds = [kind for _, kind in bench.read(page)]
        assert "done" in kinds and "next" in kinds
        assert len(page.running) <= 3


def test_a_new_search_closes_the_old_one_whatever_its_run():
    log = []
    bench = Bench(complete=stream(log))
    page = bench.page()
    bench.ask(page, "complete", 1)
    bench.work(3)
    bench.read(page)
    bench.ask(page, "complete", 2, run="b")
    bench.work(3)
    assert log == [("closed", 1)]
    assert {request for request, _ in bench.read(page)} == {2}


def test_a_search_that_is_stopped_sends_its_last_message():
    log = []
    bench = Bench(complete=stream(log))
    page = bench.page()
    bench.ask(page, "complete", 1)
    bench.work(1)
    bench.ask(page, "stop", 2)
    bench.work()
    assert bench.read(page) == [(1, "next"), (1, "last")]
    bench.work()
    assert log == [("closed", 1)]
    bench.ask(page, "complete", 3)
    bench.work(1)
    assert bench.read(page) == [(3, "next")]


def test_a_search_that_waits_can_be_stopped():
    bench = Bench(complete=stream([]))
    page = bench.page()
    bench.ask(page, "complete", 1)
    bench.ask(page, "stop", 2)
    bench.work()
    assert bench.read(page) == [(1, "last")]


def test_a_stop_ends_a_search_of_its_run_alone():
    def newest(session, message):
        yield Message("newest", message.request, {}, {})

    bench = Bench(complete=stream([]), stop=Answer(newest))
    page = bench.page()
    bench.ask(page, "complete", 1)
    bench.work(1)
    bench.ask(page, "stop", 2, run="b")
    bench.work(1)
    found = bench.read(page)
    assert (2, "newest") in found and (1, "last") not in found
    bench.ask(page, "stop", 3)
    bench.work(1)
    assert bench.read(page) == [(1, "last")]


def test_a_stop_after_the_end_is_a_request_of_its_own():
    def newest(session, message):
        yield Message("done", message.request, {}, {})

    bench = Bench(stop=Answer(newest))
    page = bench.page()
    bench.ask(page, "stop", 2)
    bench.work()
    assert bench.read(page) == [(2, "done")]


def test_a_page_that_closes_drops_its_work():
    log = []
    bench = Bench(complete=stream(log), open=Answer(stream(log).make))
    page = bench.page()
    bench.ask(page, "complete", 1)
    bench.work(1)
    bench.ask(page, "open", 2)
    bench.worker.close(page)
    bench.work()
    assert log == [("closed", 1)]
    assert bench.read(page) == [] and not bench.worker._pages


def test_no_more_pages_are_open_than_may_be():
    bench = Bench(most=2)
    page = bench.page()
    bench.page()
    with pytest.raises(InputError, match=r"^2 pages are open.*--sessions"):
        bench.page()
    bench.worker.close(page)
    bench.page()


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (InputError("paint a\nhole"), r"paint a\nhole"),
        (
            ValueError("\x1b[2Jsecret"),
            "the server failed at this request; its terminal says why",
        ),
        (MemoryError(), "the server failed at this request; its terminal says why"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_an_error_is_a_message_and_the_page_goes_on(failure, line, late, capfd):
    def failing(session, message):
        if late:
            yield Message("next", message.request, {}, {})
        raise failure

    bench = Bench(complete=Answer(failing))
    page = bench.page()
    bench.ask(page, "complete", 1)
    bench.work()
    bench.ask(page, "draw", 2)
    found = bench.read(page)
    assert found[-1] == (1, line)
    bench.work()
    assert bench.read(page) == [(2, "done")]
    assert "\x1b" not in capfd.readouterr().out
    assert not page.running


def test_an_answer_that_cannot_be_sent_is_an_error(capsys):
    def infinite(session, message):
        yield Message("scored", message.request, {"score": float("inf")}, {})

    bench = Bench(score=Answer(infinite))
    page = bench.page()
    bench.ask(page, "score", 1)
    bench.work()
    assert bench.read(page)[0][1].startswith("the server failed")
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("run", ["c", None, 3, ["a"], {}])
def test_an_unknown_run_is_an_error(run):
    bench = Bench()
    page = bench.page()
    bench.ask(page, "draw", 1, run=run)
    assert bench.read(page)[0][1].startswith("there is no such run")


def test_an_unknown_request_is_an_error():
    bench = Bench()
    page = bench.page()
    bench.ask(page, "dr\x1baw", 1)
    assert bench.read(page) == [
        (1, r"the run a does not answer the request dr\u001baw")
    ]


def test_the_worker_waits_and_ends():
    bench = Bench()
    answered = threading.Event()
    page = bench.worker.open(answered.set)
    thread = threading.Thread(target=bench.worker.run)
    thread.start()
    bench.ask(page, "draw", 1)
    assert answered.wait(10)
    bench.worker.end()
    thread.join(10)
    assert not thread.is_alive() and bench.log == [1]
