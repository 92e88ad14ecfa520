"""What the page can ask of a trained run, as functions of messages."""

import dataclasses
import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gan_jax.apps.serve.messages import Message
from gan_jax.report.formats import format_number
from gan_jax.report.measures import measures

_FIGURES = {
    "fid": "FID",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "pixel_auroc": "Pixel AUROC",
    "pixel_mse": "Constraint error",
    "honoured": "Honoured wells",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "colourfulness": "Colourfulness",
    "precision": "Precision",
    "recall": "Recall",
    "diversity": "Diversity",
}
"""Measures that describe a run, the most telling first, in the words of reports."""


@dataclasses.dataclass
class Session:
    """What the server remembers of one open page.

    The socket's thread changes `stopped` and `choice` while the worker answers.
    """

    images: dict[int, Any] = dataclasses.field(default_factory=dict)
    """Opened images by their numbers; the oldest is forgotten where there are many."""
    results: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The newest result of each run, by the run's name, for `save` and `choose`.

    That of a detector are its scores, by the numbers of the images.
    """
    stopped: bool = False
    """Whether the page has asked to stop the answer that is being streamed."""
    choice: tuple[int, bool] = (0, True)
    """Rank of the completion that is shown, and whether it is blended."""


class Answer(NamedTuple):
    """How a run answers requests of one type."""

    make: Callable[[Session, Message], Iterator[Message]]
    """Yields the answers to a request; it raises `InputError` with a line for the user.
    The worker closes it where a newer request overtakes it."""
    key: Callable[[Message], Hashable] | None = None
    """Of the requests of one key that wait, the newest alone is answered; None = each
    is."""
    is_search: bool = False
    """Whether its answers go on until `stop`, or a newer request of the key, ends
    them."""


def of_image(message: Message) -> Hashable:
    """Return the key of requests that overtake each other if run and image are one."""
    run, image = (message.entries.get(name) for name in ("run", "image"))
    return message.type, run, str(image)


def of_page(message: Message) -> Hashable:
    """Return the key of requests of which a page has one alone, whatever its run."""
    return message.type


class Model(NamedTuple):
    """A trained run behind the page."""

    kind: str
    """`generation`, `completion`, `colorization` or `anomalies`."""
    entries: Mapping[str, Any]
    """What the page has to know of it: its entry in the message `runs`."""
    plate: bytes
    """A picture of its samples (PNG)."""
    answers: Mapping[str, Answer]
    """The answer to each type of request; what they need is compiled."""


def described(
    config: ConfigDict, data: str, summary: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the entries of `runs` that say what a run is and how good it is.

    Args:
        config: Config of the run.
        data: Name of its data.
        summary: Its summary.
    """
    metrics = summary.get("metrics") or {}
    values = measures(metrics)
    figures = [
        [words, format_number(values[name])]
        for name, words in _FIGURES.items()
        if math.isfinite(values.get(name, math.nan))
    ]
    return {
        "description": f"{config.name} on {data}",
        "figures": figures,
    }
