"""The worker: one thread that owns the device and answers all pages in turn.

A page's requests wait in their order. A stroke replaces one that waits, so that only
the newest is answered. An answer of several messages is advanced one message at a time,
in turn with those of other pages, and only while its page takes what is sent: a slow
page holds up nothing, and nothing grows.
"""

import contextlib
import dataclasses
import sys
import traceback
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from threading import Condition

from gan_jax.apps.serve.messages import LARGEST, Message, encode, error
from gan_jax.apps.serve.model import Answer, Session
from gan_jax.apps.serve.remedies import for_page
from gan_jax.config.errors import InputError, printable, printable_lines
from gan_jax.report.terminal import say

Answers = Mapping[str, Mapping[str, Answer]]
"""The answers of each run, by its name and the type of a request."""

_WAITING = 8  # requests of a page, before no more are read
_UNSENT = 2  # frames that wait to be sent to a page, before no more are made


@dataclasses.dataclass(eq=False)
class _Job:
    """A request that waits, or whose answers are being made."""

    key: Hashable
    """Requests of one key overtake each other."""
    message: Message
    answer: Answer
    answers: Iterator[Message] | None = None
    """Once the first one is made."""
    overtaken: bool = False


class Page:
    """An open page: its requests that wait, and the frames to be sent to it."""

    def __init__(self, wake: Callable[[], None]):
        """Open a page.

        Args:
            wake: Called whenever there is a frame to send, or room for a request, by
                any thread. It must not wait.
        """
        self.session, self.wake = Session(), wake
        self.waiting: dict[Hashable, _Job] = {}
        self.running: deque[_Job] = deque()
        self.unsent: deque[bytes] = deque()
        self.closed = False

    @property
    def jobs(self) -> list[_Job]:
        """Requests that wait or are being answered, and were not overtaken."""
        running = (job for job in self.running if not job.overtaken)
        return [*running, *self.waiting.values()]


class Worker:
    """Answers the requests of all open pages, on the thread that calls `run`.

    The other methods may be called by any thread, and wait for nothing.
    """

    def __init__(self, answers: Answers, most: int, verbose: bool = False):
        """Prepare to answer.

        Args:
            answers: The answers of each run.
            most: Number of pages that may be open at once.
            verbose: Whether errors of the program are printed with their traceback.
        """
        self._answers, self._most, self._verbose = answers, most, verbose
        self._pages: deque[Page] = deque()
        self._changed = Condition()
        self._ended = False

    def open(self, wake: Callable[[], None]) -> Page:
        """Return a new page, whose requests are answered from now on.

        Raises:
            InputError: As many pages are open as may be.
        """
        page = Page(wake)
        with self._changed:
            if sum(not each.closed for each in self._pages) >= self._most:
                pages = "page is" if self._most == 1 else "pages are"
                raise InputError(
                    f"{self._most} {pages} open, and no more may be: close one, or "
                    "start the server with a larger --sessions"
                )
            self._pages.append(page)
        return page

    def close(self, page: Page) -> None:
        """Drop all that a page has asked for."""
        with self._changed:
            page.closed = page.session.stopped = True
            page.waiting.clear()
            page.unsent.clear()
            for job in page.running:
                job.overtaken = True
            self._changed.notify()

    def ask(self, page: Page, message: Message) -> None:
        """Take a request of a page."""
        run = message.entries.get("run")
        answers = self._answers.get(run) if isinstance(run, str) else None
        with self._changed:
            if message.type == "stop" and any(
                job.answer.is_search and job.message.entries["run"] == run
                for job in page.jobs
            ):
                page.session.stopped = True
                return  # the last answer of the search is the answer to it
            if answers is None:
                reason = "there is no such run: load the page anew"
            elif message.type in answers:
                self._add(page, message, answers[message.type])
                self._changed.notify()
                return
            else:
                kind = printable(message.type[:40])
                reason = f"the run {run} does not answer the request {kind}"
        self.send(page, error(message.request, reason))

    def send(self, page: Page, message: Message) -> None:
        """Send a message that the worker has not made."""
        with self._changed:
            page.unsent.append(encode(message))
        page.wake()

    def is_full(self, page: Page) -> bool:
        """Return whether no more requests of a page are to be read for now."""
        with self._changed:
            size = sum(
                array.nbytes
                for job in page.waiting.values()
                for array in job.message.arrays.values()
            )
            many = len(page.waiting) >= _WAITING or len(page.unsent) > _UNSENT
            return many or size >= LARGEST

    def take(self, page: Page) -> bytes | None:
        """Return the next frame to send to a page; None where there is none."""
        with self._changed:
            if not page.unsent:
                return None
            self._changed.notify()
            return page.unsent.popleft()

    def end(self) -> None:
        """Let `run` return once the message that it makes is made."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def run(self) -> None:
        """Answer until `end` is called."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._ready())
                if self._ended:
                    return
            self.step()

    def step(self) -> bool:
        """Go on with the work of one page, and return whether there was any.

        The first message is made for the request that has waited longest, and the next
        one of an answer that was begun before.
        """
        with self._changed:
            page = self._ready()
            if page is None:
                return False
            self._pages.remove(page)
            self._pages.append(page)  # the others' turn comes first
            begun = len(page.running)
            first = next(iter(page.waiting), None)
            if first is not None:
                page.running.appendleft(page.waiting.pop(first))
        if first is not None:
            self._advance(page)
        for _ in range(begun):
            if self._advance(page):  # others have ended, which takes no time
                break
        page.wake()
        return True

    def _ready(self) -> Page | None:
        """Return the page whose turn it is: one with work that takes what is sent."""
        for page in [*self._pages]:
            busy = page.waiting or page.running
            if page.closed and not busy:
                self._pages.remove(page)
            elif busy and len(page.unsent) < _UNSENT:
                return page
        return None

    def _add(self, page: Page, message: Message, answer: Answer) -> None:
        """Let a request wait, in the place of one that it overtakes."""
        key = answer.key(message) if answer.key else object()
        if answer.is_search:
            page.session.stopped = False
            for each in page.running:
                each.overtaken |= each.key == key
        page.waiting[key] = _Job(key, message, answer)

    def _advance(self, page: Page) -> bool:
        """Make the next message of a page's first answer, which becomes the last one.

        Returns:
            Whether there was one; otherwise the answer has ended.
        """
        with self._changed:
            job = page.running[0]
            page.running.rotate(-1)
        frame, ended = None, True
        try:
            if not job.overtaken:
                if job.answers is None:
                    job.answers = job.answer.make(page.session, job.message)
                message = next(job.answers, None)
                if message is not None:
                    frame, ended = encode(message), False
        except Exception as failure:  # of one request; the others go on
            frame = encode(self._explained(job.message, failure))
        with self._changed:
            dropped = job.overtaken or page.closed
            if frame is not None and not dropped:
                page.unsent.append(frame)
            if not (ended or dropped):
                return True
            page.running.remove(job)
        with contextlib.suppress(Exception):  # nobody waits for what it leaves
            getattr(job.answers, "close", lambda: None)()
        return False

    def _explained(self, request: Message, failure: Exception) -> Message:
        """Return the message that says why a request has no answer."""
        if isinstance(failure, InputError):
            return error(request.request, for_page(str(failure)))
        if self._verbose:
            lines = traceback.format_exception(failure)
            print(printable_lines("".join(lines)), end="", file=sys.stderr)
        kind = printable(request.type[:40])
        say(f"a request {kind} failed: {type(failure).__name__}: {failure}")
        return error(
            request.request, "the server failed at this request; its terminal says why"
        )
