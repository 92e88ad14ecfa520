"""Time the page through a real WebSocket, as a browser uses it.

python -m launch.benchmark.page
python -m launch.benchmark.page --json=page.json --markdown=page.md

A server of the packaged priors is started again and again. The second start is
measured, with what the first has compiled; its processor time does not depend on what
else runs. A stroke changes one of ten known pixels. Its time ends when the sixteen
realisations are decoded; what the browser then draws is not in it. 200 strokes follow
in four seconds, without waiting for answers: `behind` is the time from the last one to
its answer. A completion is that of a photograph of a digit, 120x90, with a square hole.
Other programs on the machine count in all other times.
"""

import argparse
import contextlib
import json
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from websockets.sync.client import ClientConnection, connect

from gan_jax.apps.serve.messages import Message, decode, encode
from gan_jax.config.limits import Size
from gan_jax.data.decode import resize
from gan_jax.report.files import encode_png
from gan_jax.report.page import Table
from gan_jax.report.terminal import show

_STROKES, _KNOWN = 200, 10
_PACE = 0.02  # seconds between strokes
_SEARCHES = 5
_WARM = 5  # strokes that are not counted
_PHOTO = Size(120, 90)
_SECONDS = 120.0  # after which the server has hung


class Row(NamedTuple):
    """A measured value, and what was wanted of it."""

    what: str
    value: float
    unit: str
    wanted: str = ""


class Client:
    """A page that is connected to a server."""

    def __init__(self, socket: ClientConnection):
        """Read the list of runs."""
        self._socket, self._request = socket, 0
        listed = self.receive().entries["runs"]
        self.runs = {run["name"]: run for run in listed}

    def send(
        self, kind: str, run: str, arrays: dict[str, np.ndarray], **entries: Any
    ) -> int:
        """Send a request, and return its number."""
        self._request += 1
        message = Message(kind, self._request, {"run": run, **entries}, arrays)
        self._socket.send(encode(message))
        return self._request

    def receive(self) -> Message:
        """Return the next message.

        Raises:
            RuntimeError: It is an error.
        """
        message = decode(self._socket.recv(_SECONDS, decode=False))
        if message.type == "error":
            raise RuntimeError(message.entries["message"])
        return message


@contextlib.contextmanager
def served() -> Iterator[tuple[str, float]]:
    """Start the server; yield its URL, and the seconds until it was printed."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "gan_jax.serve", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = (re.search(r"http://\S+", line) for line in process.stdout)
            url = next(filter(None, found))[0]
            yield url, time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGINT)


def drawings(run: dict[str, Any], rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Yield the arrays of one stroke after the other."""
    height, width = run["size"]
    units, shape = run["units"], (height, width, run["channels"])
    values, mask = np.zeros(shape, np.float32), np.zeros((height, width), np.uint8)
    places: list[tuple[int, int]] = []
    while True:
        if len(places) == _KNOWN:
            mask[places.pop(0)] = 0
        place = int(rng.integers(height)), int(rng.integers(width))
        places.append(place)
        values[place] = rng.choice(units["codes"] or [units["low"], units["high"]])
        mask[place] = 1
        yield {"values": values, "mask": mask}


def strokes(client: Client, run: str) -> list[Row]:
    """Time strokes that wait for their answers, and strokes that do not."""
    drawn = drawings(client.runs[run], np.random.default_rng(0))
    milliseconds = []
    for _ in range(_WARM + _STROKES):
        began = time.perf_counter()
        client.send("draw", run, next(drawn), seed=0)
        client.receive()
        milliseconds.append(1e3 * (time.perf_counter() - began))
    p50, p95 = np.quantile(milliseconds[_WARM:], [0.5, 0.95])
    wanted = {"digits": ("< 80", "< 200"), "channels": ("", "< 500")}[run]
    size = "x".join(map(str, client.runs[run]["size"]))
    what = f"{run} {size}, stroke to sixteen realisations"
    return [
        Row(f"{what}, p50", p50, "ms", wanted[0]),
        Row(f"{what}, p95", p95, "ms", wanted[1]),
        *_flood(client, run, drawn),
    ]


def _flood(client: Client, run: str, drawn: Iterator[dict[str, Any]]) -> list[Row]:
    """Send strokes at an even pace while another thread reads the answers."""
    sent: dict[int, float] = {}
    answered: dict[int, float] = {}

    def read() -> None:
        while max(answered, default=0) < max(sent) or len(sent) < _STROKES:
            answer = client.receive()
            answered[answer.request] = time.perf_counter()

    reader = threading.Thread(target=read)
    began = time.perf_counter()
    for at in range(_STROKES):
        time.sleep(max(0.0, began + at * _PACE - time.perf_counter()))
        now = time.perf_counter()
        sent[client.send("draw", run, next(drawn), seed=0)] = now
        if not at:
            reader.start()
    reader.join()
    behind = 1e3 * (answered[max(sent)] - sent[max(sent)])
    what = f"{run}, {_STROKES} strokes in {_STROKES * _PACE:g} s"
    return [
        Row(f"{what}, answered", len(answered), ""),
        Row(f"{what}, behind", behind, "ms", "nothing queues up"),
    ]


def completion(client: Client, run: str) -> list[Row]:
    """Time the first picture of a completion, and count its updates."""
    image = load_digits().images[3][..., None]
    photo = resize(np.rint(image * 255 / 16).astype(np.uint8), _PHOTO)
    content = np.frombuffer(encode_png(photo), np.uint8)
    client.send("open", run, {"content": content}, name="digit.png")
    opened = client.receive()
    missing = np.zeros(opened.arrays["preview"].shape[:2], np.uint8)
    missing[50:90, 30:60] = 1
    firsts, rates = [], []
    for seed in range(_SEARCHES):
        began = time.perf_counter()
        number = opened.entries["image"]
        client.send("complete", run, {"missing": missing}, image=number, seed=seed)
        times, done = [], False
        while not done:
            answer = client.receive()
            times.append(time.perf_counter() - began)
            done = answer.entries["done"]
        firsts.append(1e3 * times[0])
        rates.append((len(times) - 1) / (times[-1] - times[0]))
    what = f"{run}, completion"
    return [
        Row(f"{what}, first picture", float(np.median(firsts)), "ms", "< 300"),
        Row(f"{what}, updates", float(np.median(rates)), "per s", ">= 5"),
        Row(f"{what}, until done", times[-1], "s"),
    ]


def measured() -> Iterator[Row]:
    """Start the server, and yield all rows."""
    with served():
        pass
    before = _processor_seconds()
    with served() as (_, seconds):
        yield Row("start, from kept compilations", seconds, "s", "< 10")
    busy = _processor_seconds() - before
    yield Row("start, processor time", busy, "s")
    with served() as (url, _):
        place = f"{url.replace('http', 'ws', 1)}socket"
        with connect(place, compression=None, max_size=None) as socket:
            client = Client(socket)
            for run in ("digits", "channels"):
                yield from strokes(client, run)
            yield from completion(client, "digits_latent")


def _processor_seconds() -> float:
    """Return the processor time of all programs that this one has started and ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--markdown", type=Path, help="write a table here")
    options = parser.parse_args()
    rows = [*measured()]
    cells = [
        [row.what, f"{row.value:.3g} {row.unit}".strip(), row.wanted] for row in rows
    ]
    header = ["", "measured", "wanted"]
    show(Table("The page", header, cells))
    if options.json:
        options.json.write_text(json.dumps([row._asdict() for row in rows], indent=2))
    if options.markdown:
        lines = [header, ["---"] * len(header), *cells]
        text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
