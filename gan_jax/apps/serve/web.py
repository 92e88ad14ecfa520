"""The web application: the files of the page, and its socket."""

import asyncio
import contextlib
from importlib import resources

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from gan_jax.apps.serve.messages import Message, decode, encode, error
from gan_jax.apps.serve.security import Address, guarded
from gan_jax.apps.serve.worker import Page, Worker
from gan_jax.config.errors import InputError

IDLE = 1800.0
"""Seconds without a request after which a page is disconnected."""

PATIENCE = 120.0
"""Seconds in which a page must take a frame, or answer a ping."""

BUSY, EXPIRED = 4001, 4000
"""Codes with which the socket is closed: too many pages are open; the page was idle, or
took nothing."""

_FAREWELL = 5.0  # seconds in which a page must take the code

_MEDIA = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "png": "image/png",
}


def application(
    worker: Worker,
    runs: Message,
    address: Address,
    idle: float = IDLE,
    patience: float = PATIENCE,
) -> ASGIApp:
    """Return the application: the page at `/`, its files beside it, and `/socket`.

    Args:
        worker: The worker, which answers.
        runs: The message that a page gets when it connects.
        address: Where it is served, and to whom.
        idle: Seconds without a request after which a page is disconnected.
        patience: Seconds in which a page must take a frame.
    """

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await _converse(websocket, worker, runs, idle, patience)

    routes = [
        WebSocketRoute("/socket", socket),
        Route("/", _file),
        Route("/{name}", _file),
    ]
    return guarded(Starlette(routes=routes), address)


async def _file(request: Request) -> Response:
    """Return a file of the page."""
    name = request.path_params.get("name", "index.html")
    media = _MEDIA.get(name.rpartition(".")[2])
    folder = resources.files("gan_jax.apps.serve") / "page"
    found = [each for each in folder.iterdir() if each.name == name and each.is_file()]
    if not (found and media):
        return PlainTextResponse("there is no such file", 404)
    # A newer version of the package has newer files at the same addresses.
    headers = {"cache-control": "no-cache"}
    return Response(found[0].read_bytes(), media_type=media, headers=headers)


async def _converse(
    websocket: WebSocket, worker: Worker, runs: Message, idle: float, patience: float
) -> None:
    """Pass requests of a page to the worker, and its answers to the page."""
    loop = asyncio.get_running_loop()
    frames, room = asyncio.Event(), asyncio.Event()

    def wake() -> None:
        for event in (frames, room):
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(event.set)

    try:
        page = worker.open(wake)
    except InputError as reason:
        await websocket.send_bytes(encode(error(0, str(reason))))
        await websocket.close(BUSY)
        return
    worker.send(page, runs)
    tasks = [
        asyncio.create_task(_send(websocket, worker, page, frames, patience)),
        asyncio.create_task(_read(websocket, worker, page, room, idle)),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        worker.close(page)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for each in ended:
        if isinstance(each, TimeoutError):
            with contextlib.suppress(TimeoutError, WebSocketDisconnect):
                async with asyncio.timeout(_FAREWELL):
                    await websocket.close(EXPIRED)
        elif isinstance(each, Exception) and not isinstance(each, WebSocketDisconnect):
            raise each


async def _send(
    websocket: WebSocket,
    worker: Worker,
    page: Page,
    frames: asyncio.Event,
    patience: float,
) -> None:
    """Send the frames of a page, one after the other, as it takes them.

    Raises:
        TimeoutError: The page does not take them.
        WebSocketDisconnect: The page has gone.
    """
    while True:
        await frames.wait()
        frames.clear()
        while (frame := worker.take(page)) is not None:
            async with asyncio.timeout(patience):
                await websocket.send_bytes(frame)


async def _read(
    websocket: WebSocket, worker: Worker, page: Page, room: asyncio.Event, idle: float
) -> None:
    """Read the requests of a page, while there is room for them, until it is closed.

    Raises:
        TimeoutError: The page asks for nothing.
    """
    while True:
        room.clear()
        while worker.is_full(page):
            await room.wait()
            room.clear()
        async with asyncio.timeout(idle):
            received = await websocket.receive()
        if received["type"] == "websocket.disconnect":
            return
        try:
            worker.ask(page, decode(received.get("bytes") or b""))
        except InputError as reason:
            worker.send(page, error(0, str(reason)))
