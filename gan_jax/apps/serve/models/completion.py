"""Completion behind the page: holes of a photograph, filled while one watches."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from gan_jax.apps.inpaint.composites import filled, restored
from gan_jax.apps.inpaint.masked_images import MaskedImage, with_holes
from gan_jax.apps.inpaint.observations import observe_masked, open_latent_prior
from gan_jax.apps.inpaint.placement import PlacedImage, Placement, training_sizes
from gan_jax.apps.inpaint.search import LatentSearch
from gan_jax.apps.serve import requests
from gan_jax.apps.serve.messages import Message, file
from gan_jax.apps.serve.model import (
    Answer,
    Model,
    Session,
    described,
    of_image,
    of_page,
)
from gan_jax.apps.serve.models.completions import Completions
from gan_jax.apps.serve.models.edges import QUICK, SIDES, Edges
from gan_jax.apps.serve.models.photographs import (
    Photograph,
    opening,
    photograph,
    photograph_of,
)
from gan_jax.apps.serve.models.plates import SAMPLES, plate_of
from gan_jax.config import defaults
from gan_jax.config.errors import InputError
from gan_jax.config.limits import size_of
from gan_jax.data.decode import BrokenImageError, Image8
from gan_jax.networks.compilation import compiled
from gan_jax.report.files import encode_png, short_name
from gan_jax.report.grids import to_uint8
from gan_jax.runs.apply import trained_levels
from gan_jax.runs.inference import make_model
from gan_jax.runs.prior import Prior
from gan_jax.search.latent import State, empty_slots
from gan_jax.search.observation import Observation

RESTARTS = 16
"""Starts of the search of each window."""
WINDOWS = 8
"""Windows over the holes of a photograph, at most."""

_LENGTH = 2  # iterations in a call
_PAUSE = 0.05  # seconds between two answers


class _Window(NamedTuple):
    """A window over holes, and its search from every start."""

    placed: PlacedImage
    shown: PlacedImage
    """The window in the preview."""
    starts: Float[jax.Array, "restarts latent"]
    known: Observation
    state: State
    fresh: bool
    """Whether the search is still to begin."""
    over: bool


def open_completion(path: str, name: str) -> Model:
    """Open a run that generates from latents alone, or a packaged prior of it.

    Args:
        path: Workdir of the run, or the name of the packaged prior.
        name: Its name on the page.

    Raises:
        InputError: There is no such run, or its latents cannot be searched.
    """
    config = defaults.inpainting("inpaint")
    config.prior = path
    completer = Completer(name, open_latent_prior(config))
    completer.compile()
    return completer.model()


class Completer:
    """A prior as the answers to requests about completions.

    The search is that of `inpaint` with the loss `yeh` (`configs/inpaint.py:yeh`) and
    its default settings, from sixteen starts. The window of one hole at a time passes
    the compiled programs, so that their shapes depend on the prior alone.
    """

    def __init__(self, name: str, prior: Prior):
        """Prepare the search; nothing is compiled yet."""
        config = defaults.inpainting("inpaint")
        config.losses.yeh = dict(defaults.COMPLETION)
        config.search.restarts, config.search.length = RESTARTS, _LENGTH
        self.iterations: int = config.search.iterations
        self.size = size_of(prior.config.data.size)
        self._name, self._prior = name, prior
        self.search = LatentSearch(config, prior, config.losses.yeh, "losses.yeh")
        begun = self.search.compiled_search.search
        self._empty = compiled(lambda starts: empty_slots(begun, starts, RESTARTS))
        self._edges = Edges(prior.channels)
        self._model = make_model(prior.method)(prior.networks)
        self._placement = Placement(
            "auto", self.size, prior.config.data.crop, training_sizes(prior)
        )

    def model(self) -> Model:
        """Return the prior as the page takes it."""
        channels = self._prior.channels
        entries = {
            **described(self._prior.config, self._prior.data_name, self._prior.summary),
            "size": [*self.size],
            "channels": channels,
            "iterations": self.iterations,
        }
        levels = trained_levels(self._prior.config, self._prior.summary)
        answers: dict[str, Answer] = {
            "open": opening(self._name, levels, channels),
            "complete": Answer(self.complete, of_page, is_search=True),
            "choose": Answer(self.choose, of_image),
            "stop": Answer(self.stop),
            "save": Answer(self.save),
        }
        plate = plate_of(self.samples(SAMPLES))
        return Model("completion", entries, plate, answers)

    def samples(self, count: int) -> np.ndarray:
        """Return samples of the prior, as levels."""
        latents = self._prior.method.latent(jax.random.key(0), count)
        return to_uint8(self._model.generate(np.asarray(latents), None, RESTARTS))

    def compile(self) -> None:
        """Complete the middle of a grey image once, plain and blended."""
        image = np.full((*self.size, self._prior.channels), 128, np.uint8)
        known = np.ones(self.size, bool)
        known[self.size.height // 2, self.size.width // 2] = False
        grey = photograph("grey", image, known)
        opened = grey._replace(run=self._name, number=1)
        session = Session(images={1: opened})
        missing = {"missing": opened.missing_preview.astype(np.uint8)}
        request = Message("complete", 0, {"image": 1, "seed": 0}, missing)
        next(self.complete(session, request))
        self._edges.compile()

    def complete(self, session: Session, message: Message) -> Iterator[Message]:
        """Yield completions of the painted holes, again and again as they improve.

        The best one is shown until another is chosen.
        """
        opened = photograph_of(session, message, self._name)
        painted = requests.array(message, "missing", "uint8", *opened.preview.shape[:2])
        seed = requests.number(message, "seed", most=2**31 - 1)
        missing = opened.missing_where(painted > 0)
        session.choice = 0, session.choice[1]
        windows = [
            self._begin(opened, placed, seed) for placed in self._lay(opened, missing)
        ]
        done, due = False, time.monotonic()
        while not done:
            windows = [self._advance(window) for window in windows]
            done = session.stopped or all(window.over for window in windows)
            if not done and time.monotonic() < due:
                continue
            due = time.monotonic() + _PAUSE
            found = self._found(opened, windows, done)
            session.results[self._name] = found
            yield self._shown(session, message, found)

    def _lay(
        self, opened: Photograph, missing: Bool[np.ndarray, "height width"]
    ) -> list[PlacedImage]:
        """Return a photograph under the windows that `inpaint` lays over its holes.

        Raises:
            InputError: If nothing, everything, or too much is missing.
        """
        name = opened.name
        masked = MaskedImage(name, name, opened.image, ~missing, has_truth=False)
        for _, reason in with_holes([masked])[1]:
            raise InputError(f"{reason}: paint a hole")
        if missing.all():
            raise InputError("nothing is known: all its pixels are missing")
        try:
            placed = self._placement.lay(masked)
        except BrokenImageError as error:
            raise InputError(str(error)) from None
        if len(placed) > WINDOWS:
            raise InputError(
                f"its holes lie under {len(placed)} windows, and at most {WINDOWS} are "
                "searched at once: complete a part of them first"
            )
        return placed

    def _begin(self, opened: Photograph, placed: PlacedImage, seed: int) -> _Window:
        """Return a window whose search is to begin."""
        observed, blank = observe_masked(
            self._prior, "painted", [placed], has_truth=False
        )
        if observed is None:
            raise InputError(blank[0].reason)
        starts, known = self.search.inputs(observed, seed=seed)
        shown, state = opened.in_preview(placed), self._empty(starts[:, 0])
        return _Window(placed, shown, starts[:, 0], known, state, True, False)

    def _advance(self, window: _Window) -> _Window:
        """Return a window a few iterations later; one that is over stays as it is."""
        if window.over:
            return window
        jobs = np.arange(RESTARTS, dtype=np.int32)
        fresh = np.full(RESTARTS, window.fresh)
        state, ended = self.search.compiled_search.advance(
            window.state, window.starts, window.known, jobs, fresh
        )
        over = bool(np.asarray(ended).all())
        return window._replace(state=state, fresh=False, over=over)

    def _found(
        self, opened: Photograph, windows: Sequence[_Window], done: bool
    ) -> Completions:
        """Return what the searches of some windows have found so far."""
        states = [jax.tree.map(np.asarray, window.state) for window in windows]
        losses = np.stack([state.best_loss for state in states])
        latents = np.stack([state.best_latent for state in states])
        rank = losses.argsort(axis=1, kind="stable")
        latents = np.take_along_axis(latents, rank[..., None], axis=1)
        generated = [self._model.generate(each, None, RESTARTS) for each in latents]
        known = [window.known for window in windows]
        return Completions(
            photograph=opened,
            placed=[window.placed for window in windows],
            shown=[window.shown for window in windows],
            values=np.concatenate([np.asarray(each.values) for each in known]),
            masks=np.concatenate([np.asarray(each.mask) for each in known]),
            latents=latents,
            losses=np.take_along_axis(losses, rank, axis=1),
            generated=np.stack(generated),
            iteration=max(int(state.step.max()) for state in states),
            done=done,
        )

    def _shown(self, session: Session, message: Message, found: Completions) -> Message:
        """Return the answer that shows completions, as the page has chosen."""
        rank, blended = session.choice
        pictures, spread = found.pictures(blended), found.spread
        largest = float(spread.max())
        entries: dict[str, Any] = {
            "iteration": found.iteration,
            "iterations": self.iterations,
            "done": found.done,
            "losses": [
                [loss if np.isfinite(loss) else None for loss in losses.tolist()]
                for losses in found.losses
            ],
            "windows": [[*each.window] for each in found.shown],
            "rank": rank,
            "blended": blended,
            "spread_largest": largest,
        }
        arrays = {
            "images": pictures,
            "spread": np.rint(255 * spread / max(largest, 1e-6)).astype(np.uint8),
            "best": self._best(found, found.shown, session.choice),
        }
        return Message("completions", message.request, entries, arrays)

    def _best(
        self,
        found: Completions,
        windows: Sequence[PlacedImage],
        choice: tuple[int, bool],
    ) -> Image8:
        """Return the photograph, or its preview, with the chosen completion."""
        rank, blended = choice
        made = [*found.pictures(blended)[:, rank]]
        if not blended:
            return restored(windows, made)
        largest = SIDES[-1] if found.done else QUICK
        return filled(
            windows,
            made,
            lambda placed, inside: self._edges.blended(placed, inside, largest),
        )

    def choose(self, session: Session, message: Message) -> Iterator[Message]:
        """Yield the newest completions, among which one is chosen."""
        rank = requests.number(message, "rank", most=RESTARTS - 1)
        session.choice = rank, requests.flag(message, "blended")
        yield self._shown(session, message, self._newest(session))

    def stop(self, session: Session, message: Message) -> Iterator[Message]:
        """Yield the newest completions, of a search that has ended."""
        found = self._newest(session)._replace(done=True)
        session.results[self._name] = found
        yield self._shown(session, message, found)

    def _newest(self, session: Session) -> Completions:
        found = session.results.get(self._name)
        if not isinstance(found, Completions):
            raise InputError("nothing has been completed yet: paint a hole first")
        return found

    def save(self, session: Session, message: Message) -> Iterator[Message]:
        """Yield a file of the newest completions."""
        found = self._newest(session)
        if requests.image(message) not in (None, found.photograph.number):
            raise InputError("another photograph was completed since: open it again")
        what = requests.text(message, "what"), requests.text(message, "form")
        name = short_name(found.photograph.name)
        match what:
            case "completion", "png":
                whole = self._best(found, found.placed, session.choice)
                saved = f"{name}_completed.png", "image/png", encode_png(whole)
            case "completions", "npz":
                saved = f"{name}_completions.npz", "application/zip", found.archive()
            case "mask", "png":
                levels = np.where(found.missing, np.uint8(0), np.uint8(255))
                saved = f"{name}_mask.png", "image/png", encode_png(levels[..., None])
            case _:
                raise InputError(
                    "save a completion as completion (png), completions (npz) or mask "
                    "(png)"
                )
        yield file(message, *saved)
