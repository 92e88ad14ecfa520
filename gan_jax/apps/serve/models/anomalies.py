"""Anomalies behind the page: how anomalous an image is, and where."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.apps.detect.detector import DetectorRun, open_detector_run
from gan_jax.apps.detect.scoring.maps import map_kind
from gan_jax.apps.detect.scoring.scorer import Anomaly, Scorer
from gan_jax.apps.serve import requests
from gan_jax.apps.serve.messages import Message, file
from gan_jax.apps.serve.model import (
    Answer,
    Model,
    Session,
    described,
    of_image,
)
from gan_jax.apps.serve.models.photographs import (
    opening,
    photograph,
    photograph_of,
)
from gan_jax.apps.serve.models.plates import kept_plate
from gan_jax.config.command_line import FIRST_COMMANDS
from gan_jax.config.errors import InputError
from gan_jax.data.decode import BrokenImageError
from gan_jax.data.user_images import Image8
from gan_jax.report.files import encode_png, short_name
from gan_jax.report.formats import format_number
from gan_jax.report.grids import PAPER, glow, rgb, tile
from gan_jax.runs.apply import trained_levels
from gan_jax.runs.prior import data_name_of

_CELL = 288  # longer side of a saved picture, in screen pixels
_BAR = 8  # heights of the scale in that of a saved picture
_COLOURS = 256  # of the scale
_PIXELS = 2**23  # of the maps that a page can save


class Scored(NamedTuple):
    """An image that was scored, for `save`."""

    name: str
    seen: Image8
    found: Anomaly
    map: Float[np.ndarray, "height width"]

    @property
    def low(self) -> float:
        """Return the value that is drawn darkest: 0, or the smallest below it."""
        return min(0.0, float(self.map.min()))

    @property
    def high(self) -> float:
        """Return the value that is drawn brightest."""
        return float(self.map.max())

    @property
    def colours(self) -> UInt8[np.ndarray, "height width 3"]:
        """Return the map in the colours of the scale."""
        return glow((self.map - self.low) / max(self.high - self.low, 1e-12))


def open_anomalies(path: str, name: str) -> Model:
    """Open a run of `detect`.

    Args:
        path: Workdir of the run.
        name: Its name on the page.

    Raises:
        InputError: There is no such run.
    """
    run = open_detector_run(path, FIRST_COMMANDS["detect"])
    anomalies = Anomalies(name, run)
    anomalies.compile()
    return anomalies.model()


class Anomalies:
    """A detector as the answers to requests of the page."""

    def __init__(self, name: str, run: DetectorRun):
        """Prepare to score images one by one; nothing is compiled yet."""
        self._name, self._run = name, run
        self._scorer = Scorer(run, run.config.anomaly.false_positive_rate, chunk=1)
        self._map = map_kind(run.gan).name

    def model(self) -> Model:
        """Return the run as the page takes it."""
        run = self._run
        data = data_name_of(run.config, run.summary)
        entries = {
            **described(run.config, data, run.summary),
            "size": [*self._scorer.size],
            "channels": run.channels,
        }
        levels = trained_levels(run.gan, run.summary)
        answers: dict[str, Answer] = {
            "open": opening(self._name, levels, run.channels),
            "score": Answer(self.score, of_image),
            "save": Answer(self.save),
        }
        plate = kept_plate(run.workdir, "extremes.png")
        return Model("anomalies", entries, plate, answers)

    def compile(self) -> None:
        """Score a grey image; the detector sees all others at its size."""
        shape = (*self._scorer.size, self._run.channels)
        grey = photograph("grey", np.full(shape, 128, np.uint8))
        session = Session(images={1: grey._replace(run=self._name, number=1)})
        next(self.score(session, Message("score", 0, {"image": 1}, {})))

    def score(self, session: Session, message: Message) -> Iterator[Message]:
        """Yield how anomalous a photograph is, and where."""
        opened = photograph_of(session, message, self._name)
        try:
            seen = self._scorer.seen(opened.image)
        except BrokenImageError as error:
            raise InputError(f"{opened.name}: {error}") from None
        (found,), (where,) = self._scorer(seen[None])
        scored = Scored(opened.name, seen, found, where)
        kept = session.results.setdefault(self._name, {})
        kept.pop(opened.number, None)
        kept[opened.number] = scored  # the newest is the last one
        if len(kept) > max(1, _PIXELS // where.size):
            del kept[next(iter(kept))]
        entries = {
            "score": found.score,
            "percentile": found.percentile,
            "anomalous": found.above,
            "threshold": self._scorer.threshold,
            "map_name": self._map,
            "map_low": scored.low,
            "map_high": scored.high,
        }
        scale = glow(np.linspace(0, 1, _COLOURS)[None])
        arrays = {"seen": seen, "map": scored.colours, "scale": scale}
        yield Message("scored", message.request, entries, arrays)

    def save(self, session: Session, message: Message) -> Iterator[Message]:
        """Yield an image beside its map, with the scale."""
        scored = self._scored(session, requests.image(message))
        what = requests.text(message, "what"), requests.text(message, "form")
        if what != ("map", "png"):
            raise InputError("save where an image is anomalous as map (png)")
        height, width = scored.map.shape
        bar = np.full((height, width, 3), PAPER, np.uint8)
        bar[: -(-height // _BAR)] = glow(np.linspace(0, 1, width)[None])
        cells = np.stack([rgb(scored.seen), scored.colours, bar])
        verdict = "above" if scored.found.above else "not above"
        low, high = format_number(scored.low), format_number(scored.high)
        titles = [
            f"score {format_number(scored.found.score)}, {verdict} the threshold "
            f"{format_number(self._scorer.threshold)}",
            self._map,
            f"{low} (left) to {high} (right)",
        ]
        scale = max(1, round(_CELL / max(height, width)))
        picture = encode_png(tile(cells[None], scale, column_titles=titles))
        yield file(message, f"{short_name(scored.name)}_map.png", "image/png", picture)

    def _scored(self, session: Session, image: int | None) -> Scored:
        """Return what was found in an image; None = the one that was scored last.

        Raises:
            InputError: If it was not scored, or is no longer kept.
        """
        kept: dict[int, Scored] = session.results.get(self._name, {})
        if not kept:
            raise InputError("no image has been scored yet: open one first")
        number = next(reversed(kept)) if image is None else image
        if number not in kept:
            raise InputError("the score of this image is no longer held: open it again")
        return kept[number]
