"""Detect anomalies by the history of a GAN's training: train a detector, or use one."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from gan_jax import recipe as recipes
from gan_jax.config import difference, flatten, training
from gan_jax.data.holes import HOLES
from gan_jax.errors import InputError
from gan_jax.evaluation.detection import detection, subsample
from gan_jax.evaluation.outliers import BASELINES
from gan_jax.programs import train
from gan_jax.programs.anomalies import (
    Anomalies,
    anomalies,
    check_anomalies,
    normal_images,
)
from gan_jax.programs.assembly import Run, prepare, say
from gan_jax.programs.detector import (
    Detector,
    Scorer,
    keep_detector,
    train_detector,
)
from gan_jax.programs.history import Snapshots, open_snapshots
from gan_jax.programs.prior import Prior, describe, open_prior, read_run
from gan_jax.programs.results import environment
from gan_jax.programs.scoring import score_images
from gan_jax.programs.signals import Signals
from gan_jax.programs.workdir import check_workdir, claimed
from gan_jax.training.state import digest

_GAN = "gan"
_COMMANDS = (
    "Train one, then score images with it: python -m gan_jax.main "
    "--config=configs/detect.py --workdir=runs/detect; python -m gan_jax.main "
    "--config=configs/detect.py --config.prior=runs/detect --config.images=DIR"
)


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Train a detector and measure it, or score the user's images with one.

    The GAN is an ordinary run in `<workdir>/gan`, unless `history_run` names one.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: the user can mend it; nothing was overwritten.
        OSError: the disk failed; the same call continues once it is mended.
        DivergedError: a value was not finite; the last good checkpoint is kept.
        Interrupted: by SIGINT or SIGTERM, after saving; the same call continues.
    """
    if config.prior or config.images:
        return score_images(config, workdir, _COMMANDS)
    began = time.monotonic()
    check_workdir(config, workdir)
    check_anomalies(config)
    check_start(config)
    gan = _gan_config(config)
    place = Path(config.history_run or workdir / _GAN).expanduser()
    if config.history_run:
        _check_history(gan, config.history_run)
    else:
        check_workdir(gan, place)
    with claimed(config, workdir, ()):
        if not config.history_run:
            train.run(gan, place)
        trained = time.monotonic()
        prior = open_prior(str(place), _COMMANDS)
        this = prepare(prior.config, workdir)
        snapshots = open_snapshots(prior)
        say(
            f"history: {len(snapshots.steps)} snapshots of both networks, "
            f"{snapshots.size / 2**20:.0f} MiB"
        )
        with Signals() as signals:
            found = train_detector(this, prior, snapshots, config, signals)
        keep_detector(found, workdir)
        timing = {
            "gan_seconds": trained - began,
            "detector_seconds": time.monotonic() - trained,
        }
        return _conclude(config, prior, this, snapshots, found, timing, began)
