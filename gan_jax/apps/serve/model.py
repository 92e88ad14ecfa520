"""What the page can ask of a trained run, as functions of messages."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
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


Answer = Callable[[Session, Message], Iterator[Message]]
"""Yields the answers to a request. The worker closes it where a newer one overtakes it.

It raises `InputError` with a line for the user.
"""


class Model(NamedTuple):
    """A trained run behind the page."""

    kind: str
    """`generation`, `completion`, `colorization` or `anomalies`."""
    entries: Mapping[str, Any]
    """What the page has to know of it: its entry in the message `runs`."""
    plate: bytes
    """A picture of its samples (PNG)."""
    answers: Mapping[str, Answer]
    """The answer to each type of request."""
    compile: Callable[[], None]
    """Compile all that answers need, so that none has to wait."""


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
