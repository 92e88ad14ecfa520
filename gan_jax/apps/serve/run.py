"""Serve trained runs on a page: open them, compile them, and answer."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from gan_jax.apps.serve.messages import LARGEST, Message, file
from gan_jax.apps.serve.model import Answer, Model, Session
from gan_jax.apps.serve.models.anomalies import open_anomalies
from gan_jax.apps.serve.models.colorization import open_colorization
from gan_jax.apps.serve.models.completion import open_completion
from gan_jax.apps.serve.models.generation import open_generation
from gan_jax.apps.serve.security import bind, listen
from gan_jax.apps.serve.web import PATIENCE, application
from gan_jax.apps.serve.worker import Worker
from gan_jax.build import tasks
from gan_jax.config.checks import read_config
from gan_jax.config.errors import InputError, printable
from gan_jax.priors import packaged
from gan_jax.report.terminal import say

HANDSHAKE = 10.0
"""Seconds in which a connection must have sent a request."""

PROTOCOL = 1
"""Number of the version of the messages."""

_OPENERS: Mapping[str, Callable[[str, str], Model]] = {
    "generation": open_generation,
    "completion": open_completion,
    "colorization": open_colorization,
    "anomalies": open_anomalies,
}
"""`open(path, name)` of a run, which is compiled, by its kind."""

_KINDS = {"colorize": "colorization", "detect": "anomalies"}
"""The kind of a run, by its program."""


class Options(NamedTuple):
    """What the command line says."""

    priors: Sequence[str]
    """Workdirs of runs, and names of packaged priors; empty = all packaged ones."""
    host: str
    port: int
    sessions: int
    token: bool
    """Whether a token is asked for on this machine alone too."""
    verbose: bool


def run(options: Options) -> None:
    """Serve runs until the process ends.

    Raises:
        InputError: A run, the host or the port cannot be used.
    """
    socket, address = bind(options.host, options.port, options.token)
    with socket:
        models = open_models(options.priors)
        worker = Worker(answers(models), options.sessions, options.verbose)
        threading.Thread(target=worker.run, name="worker", daemon=True).start()
        server = server_of(application(worker, listed(models), address))
        listen(socket, address)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)
        say(f"serving {', '.join(models)} at {address.url} (Ctrl-C ends)")
        server.run(sockets=[socket])


def server_of(application: ASGIApp) -> uvicorn.Server:
    """Return the server of an application, which is quiet and takes large frames."""
    return _Server(
        uvicorn.Config(
            application,
            http=_Connection,
            log_config=None,
            log_level="error",  # what others send is no warning of ours
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws_max_size=LARGEST + 1,  # one that is too large gets an answer
            ws_per_message_deflate=False,
            ws_ping_timeout=PATIENCE,
        )
    )


class _Connection(H11Protocol):
    """A connection that is closed unless it soon sends a request."""

    def connection_made(self, transport: Any) -> None:  # of asyncio or of uvloop
        super().connection_made(transport)
        self.loop.call_later(HANDSHAKE, self._expire)

    def _expire(self) -> None:
        if self.scope is None:  # no request was read
            self.transport.close()


class _Server(uvicorn.Server):
    """A server that ends its process at Ctrl-C; it has nothing to save."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        os._exit(0)


def open_models(priors: Sequence[str]) -> dict[str, Model]:
    """Open and compile runs; return them by their names on the page.

    Args:
        priors: Workdirs of runs, and names of packaged priors; empty = all packaged
            ones.

    Raises:
        InputError: One of them cannot be used.
    """
    models: dict[str, Model] = {}
    for path in priors or packaged.names():
        kind = kind_of(path)
        name = _name(path, models)
        say(f"opening {name}")
        models[name] = _OPENERS[kind](path, name)
    return models


def kind_of(path: str) -> str:
    """Return what the page can do with a run.

    A run that cannot be read counts as one that generates: opening it says why.
    """
    try:
        written = packaged.config_of(path) or {}
        if written.get("program") != "train":
            return _KINDS.get(str(written.get("program")), "generation")
        task = tasks.task(read_config(written, "train"))
    except (OSError, ValueError, InputError):
        return "generation"
    return "generation" if task.conditional else "completion"


def _name(path: str, taken: Mapping[str, Model]) -> str:
    """Return a name of a run that no other one has: that of its folder."""
    folder = printable(Path(path).expanduser().resolve().name) or "run"
    name, number = folder, 1
    while name in taken:
        number += 1
        name = f"{folder}-{number}"
    return name


def answers(models: Mapping[str, Model]) -> dict[str, dict[str, Answer]]:
    """Return the answers of runs by their names and the types of requests."""
    return {
        name: {"plate": Answer(_plate(name, model)), **model.answers}
        for name, model in models.items()
    }


def _plate(name: str, model: Model) -> Callable[[Session, Message], Iterator[Message]]:
    """Return the function that sends the sample plate of a run."""

    def plate(session: Session, request: Message) -> Iterator[Message]:
        yield file(request, f"{name}.png", "image/png", model.plate)

    return plate


def listed(models: Mapping[str, Model]) -> Message:
    """Return the message that lists the runs."""
    runs = [
        {**model.entries, "name": name, "kind": model.kind}
        for name, model in models.items()
    ]
    return Message("runs", 0, {"protocol": PROTOCOL, "runs": runs}, {})
