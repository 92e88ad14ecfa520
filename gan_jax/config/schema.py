"""The keys of all configs, one row each: default, meaning, limits.

`KEYS` has the rows by program, `OF_TASKS` those that only some tasks read. Everything
that is known of a key is read from its row: configs are built, numbers are checked,
resuming is decided and `--help` is written from it. Imports no JAX, so that `--help`
and a mistyped flag are answered at once.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from gan_jax.config.limits import (
    COUNT,
    COUNT_OR_0,
    DECAY,
    POSITIVE,
    SHARE,
    WEIGHT,
    Limits,
)


class Key(NamedTuple):
    """What is known of one key."""

    default: Any
    meaning: str
    """One line for the user: unit, range, names, what 0 or an empty text stands for."""
    limits: Limits = Limits()
    """The numbers that the key may hold; any finite one by default."""
    resumable: bool = False
    """Whether it may change when a run continues."""
    older: Any = None
    """The value that counts for a run written before the key existed; None = every run
    has the key."""


Keys = Mapping[str, Key]
"""Rows by dotted key; `*` stands for any name."""


def _inside(room: str, rows: Keys) -> dict[str, Key]:
    """Return rows with the name of a room before every key."""
    return {f"{room}.{key}": row for key, row in rows.items()}


# One row, one line.
# ruff: noqa: E501
# fmt: off
_CLASSIFIER: Keys = {
    "width": Key(64, "filters of its first layer", COUNT),
    "features": Key(256, "values of its last hidden layer, the features that FID compares", COUNT),
    "epochs": Key(4, "epochs of its training; 0 = no classifier and no FID", COUNT_OR_0),
}

TRAINING: Keys = {
    "task": Key("", "what the prior is trained for: samples, points, pixels, wells or colors"),
    "seed": Key(0, "seed of every random number", Limits(least=0, most=2**32 - 1)),
    "steps": Key(1000, "length of training; a step is critic_steps updates of the critic, then generator_steps of the generator", COUNT, resumable=True),
    "batch_size": Key(64, "images in a batch", COUNT),
    "objective": Key("nonsaturating", "adversarial losses: minimax, nonsaturating, lsgan, ebgan, wgan, hinge or relativistic"),
    "critic_steps": Key(1, "updates of the critic in a step", COUNT),
    "critic_boost.steps": Key(0, "updates of the critic in a boosted step, in place of critic_steps", COUNT_OR_0),
    "critic_boost.first": Key(0, "the first so many steps are boosted", COUNT_OR_0),
    "critic_boost.every": Key(0, "every so many steps one is boosted; 0 = none", COUNT_OR_0),
    "generator_steps": Key(1, "updates of the generator in a step", COUNT, older=1),
    "critic_clip": Key(0.0, "the critic's weights are clipped to +- this value; 0 = not clipped", WEIGHT),
    "critic_penalty": Key(0.0, "gamma of R1, the squared gradient of the critic at real images; 0 = off", WEIGHT),
    "fake_penalty": Key(0.0, "gamma of R2, the squared gradient of the critic at generated images; 0 = off", WEIGHT),
    "gradient_penalty": Key(0.0, "weight of (|gradient| - 1)^2 between real and generated images; 0 = off", WEIGHT),
    "margin": Key(1.0, "ebgan: generated images of a higher energy do not move the critic", WEIGHT),
    "pulling_away": Key(0.0, "ebgan: weight of the mean squared cosine between codes of a batch; 0 = off", WEIGHT),
    "precision": Key("float32", "of the networks' computation: float32 or bfloat16; weights stay float32"),
    "average_decay": Key(0.999, "decay of the generator's moving average, per step", SHARE),
    "data.name": Key("digits", "data set: digits, photos, training_image, folder, arrays, gaussians8, ..., or a name of TFDS"),
    "data.path": Key("", "a TFDS directory, a directory of arrays, a grid or a folder of images; empty = where the data set is by default"),
    "data.size": Key(28, "height and width of the images, in pixels", COUNT),
    "data.crop": Key(0, "side of the centre square kept before resizing, in pixels; 0 = the largest square", COUNT_OR_0),
    "data.without": Key("", "classes left out, by name or number, joined by commas"),
    "data.held_out": Key(0.0, "share of all images, official test images included, that is the test part; 0 = the official test part", Limits(least=0, below=1)),
    "data.download": Key(False, "whether TFDS may download and prepare a missing data set"),
    "data.feed": Key("auto", "resident (data on the device), streamed, or auto (resident if the data fit)"),
    "latent.size": Key(100, "length of a latent vector", COUNT),
    "latent.prior": Key("normal", "distribution of latents: normal, uniform in [-1, 1], or none (the generator starts from a condition)"),
    "network.generator": Key("dcgan", "dcgan, residual, perceptron, latent_unet; from a condition alone: unet, chroma"),
    "network.critic": Key("dcgan", "dcgan, patch, residual, perceptron, blind; with energies: autoencoder, dense_autoencoder, linear_autoencoder"),
    "network.width": Key(64, "filters of the generator at full resolution", COUNT),
    "network.critic_width": Key(64, "filters of the critic's first layer", COUNT),
    "network.normalisation": Key("batch", "of the generator: batch or none"),
    "network.critic_normalisation": Key("batch", "of the critic: batch, layer, spectral or none"),
    "network.depth": Key(2, "halvings of the resolution in the generator; the smallest map has a side of data.size / 2^depth", Limits(least=1, most=16)),
    "network.critic_depth": Key(0, "the same of the critic; 0 = as the generator", Limits(least=0, most=16)),
    "network.kernel": Key(5, "side of the convolution kernels, in pixels", COUNT),
    "network.map": Key("mean", "an image's score in a penalty if the critic gives a map of scores: their mean or sum", older="mean"),
    "network.hidden": Key(0, "dense autoencoder: values of a hidden layer; 0 = critic_width", COUNT_OR_0),
    "network.code": Key(0, "dense autoencoder: values of the code, 0 = no bottleneck; linear autoencoder: 0 = critic_width", COUNT_OR_0),
    "optimizer.name": Key("adam", "adam, momentum or rmsprop"),
    "optimizer.learning_rate": Key(2e-4, "of both networks", POSITIVE),
    "optimizer.beta1": Key(0.5, "decay of the first moment, or the momentum", DECAY),
    "optimizer.beta2": Key(0.999, "decay of the second moment", DECAY),
    "optimizer.warmup": Key(0, "steps in which the learning rate rises linearly from 0; 0 = none", COUNT_OR_0),
    "evaluation.every": Key(0, "steps between evaluations on validation images; 0 = only at the end", COUNT_OR_0, resumable=True),
    "evaluation.count": Key(2000, "images generated for an evaluation during training", COUNT),
    "evaluation.final_count": Key(10_000, "images generated for the evaluation on test images at the end", COUNT, resumable=True),
    **_inside("evaluation.classifier", _CLASSIFIER),
    "history.every": Key(0, "steps between snapshots of both networks that are kept; 0 = none", COUNT_OR_0),
    "fused_steps": Key(20, "steps in one compiled call", Limits(least=1, most=100_000), resumable=True),  # their logs wait on the device
    "log_every": Key(20, "steps between lines of metrics.jsonl after the first 20; 0 = none", COUNT_OR_0, resumable=True),
    "checkpoint_every": Key(500, "steps between checkpoints; 0 = only at the end", COUNT_OR_0, resumable=True),
    "sample_every": Key(500, "steps between pictures in samples/; 0 = only at the end", COUNT_OR_0, resumable=True),
}

PIXELS: Keys = {
    "pixel_weight": Key(10.0, "lambda: weight of the squared error of the known pixels in the generator's loss", WEIGHT),
    "condition_critic": Key(False, "whether the critic sees the known pixels"),
    "packing": Key(1, "images that the critic sees at once, under one condition", COUNT),
    "mask.count": Key(0, "known pixels of each image; 0 = by mask.fraction", COUNT_OR_0),
    "mask.most": Key(0, "above 0: the number of known pixels is drawn between mask.count and this", COUNT_OR_0),
    "mask.fraction": Key(0.005, "known share of the pixels, rounded down (3 of 28x28); 0 = by mask.count", SHARE),
    "mask.pattern": Key("", "an image file, white = known, used for every image; empty = random pixels"),
}

COLORS: Keys = {
    "condition_critic": Key(True, "whether the critic sees the lightness"),
    "adversarial_weight": Key(1.0, "weight of the adversarial loss of the generator", WEIGHT),
    "adversarial_map": Key("mean", "the network.map that adversarial_weight is meant for; it is converted to the other one under a gradient penalty", older="mean"),
    "reconstruction.name": Key("l1", "distance between ab channels scaled to [-1, 1], a mean over values: l1 or l2"),
    "reconstruction.weight": Key(100.0, "its weight in the generator's loss", WEIGHT),
    "class_weight": Key(0.0, "weight of the divergence between the generator's and the teacher's class probabilities; 0 = off", WEIGHT),
    "teacher.path": Key("", "teacher.msgpack of another run; empty = a teacher is trained on the labels of the data"),
    **_inside("teacher.classifier", {**_CLASSIFIER, "epochs": Key(4, "epochs of its training", COUNT)}),
}

_SEARCH: Keys = {
    "optimizer.name": Key("natural", "natural, adam, momentum or rmsprop"),
    "optimizer.learning_rate": Key(0.05, "of the latents, at the start", POSITIVE),
    "optimizer.beta1": Key(0.5, "decay of the first moment, or the momentum", DECAY),
    "optimizer.beta2": Key(0.99, "decay of the second moment", DECAY),
    "optimizer.schedule": Key("cosine", "of the learning rate: cosine (falls to 0), constant or stairs"),
    "optimizer.decay": Key(0.95, "stairs: factor of the learning rate at each stair", Limits(above=0, most=1)),
    "optimizer.stair": Key(100, "stairs: iterations between two of them", COUNT),
    "iterations": Key(100, "iterations of a search, at most", COUNT),
    "restarts": Key(4, "starts for each image; the best result is kept", COUNT),
    "spread": Key(1.0, "starting latents are clipped to +- this value", WEIGHT),
    "patience": Key(25, "iterations without progress that end a search; 0 = never", COUNT_OR_0),
    "progress": Key(0.01, "relative decrease of the loss that counts as progress", Limits(least=0, below=1)),
    "tolerance": Key(0.0, "mean error of the known values that ends a search; the range of values is 2", WEIGHT),
    "slots": Key(64, "searches at once", COUNT),
    "length": Key(10, "iterations in one compiled call, before finished searches are replaced", COUNT),
}

COMPLETION: Keys = {
    "weights": Key("near", "weights of the known pixels: near (holes), far (from holes) or equal"),
    "context": Key(1.0, "alpha: weight of the absolute differences from known values", WEIGHT),
    "gradient": Key(0.0, "beta: weight of the absolute differences between image gradients", WEIGHT),
    "prior": Key(0.003, "eta: weight of the score loss", WEIGHT),
    "unlikely": Key("trained", "score loss: trained (the generator's own), saturating, nonsaturating, least_squares, score or energy"),
    "composite": Key(False, "whether the critic scores the image with its known pixels put in"),
    "mean": Key(False, "whether the loss is divided by the number of known values"),
}
"""A loss of latent searches."""

_OWN_IMAGES: Keys = {
    "prior": Key("", "workdir of a run of this config, which is applied to `images`; empty = train one"),
    "images": Key("", "a folder of your images"),
}

INPAINT: Keys = {
    "seed": TRAINING["seed"],
    "prior": Key("", "workdir of a trained run"),
    "images": Key("", "a folder of your images; empty = test images of the prior's data"),
    "masks": Key("center", "holes by name (center, left, right, top, bottom, random, pattern, squares), joined by commas; or a folder of masks, white = known"),
    "degradation": Key("", "of the measurement: grey, downsample:4, blur:1.5, noise:0.05, joined by commas; empty = none"),
    "count": Key(200, "test images", COUNT),
    "blend": Key(True, "whether completions are Poisson-blended, beside the plain composites"),
    "completions": Key(4, "different completions of each image in the report", COUNT),
    "along": Key(8, "images drawn along a search in the report; 0 = none", COUNT_OR_0, resumable=True, older=8),
    **_inside("losses.*", COMPLETION),
    "sweep.loss": Key("", "losses that are swept, joined by commas; empty = no sweep", older=""),
    "sweep.key": Key("", "their keys that are swept, joined by commas", older=""),
    "sweep.over": Key("", "settings joined by commas; the values of one setting joined by colons", resumable=True, older=""),
    **_inside("search", _SEARCH),
}

COLLABORATE: Keys = {
    "seed": TRAINING["seed"],
    "prior": INPAINT["prior"],
    "masks": Key("", "holes by name, or a folder of masks: completed images are refined; empty = samples are"),
    "images": INPAINT["images"],
    "count": Key(10_000, "samples, or test images", COUNT),
    "refinement.layer": Key(1, "stage of the generator whose input is refined; 0 = latents", COUNT_OR_0),
    "refinement.steps": Key(50, "steps of refinement, at most", COUNT_OR_0),
    "refinement.rate": Key(0.3, "learning rate of refinement", POSITIVE),
    "refinement.momentum": Key(0.9, "momentum of refinement", DECAY),
    "refinement.unlikely": Key("nonsaturating", "score loss: nonsaturating (the authors' code), saturating (the paper's text), or as losses.*.unlikely"),
    "refinement.stopping": Key("deterministic", "deterministic (at the median real score; the papers' text), best (all steps; their code) or probabilistic (a drawn number)"),
    "refinement.slack": Key(0.0, "relative increase of the jump at the hole's edge that a refined image may have to be kept", WEIGHT),
    "refinement.slots": Key(16, "samples refined at once", COUNT),
    "shaping.epochs": Key(2.0, "epochs of training images; 0 = the critic stays as trained", WEIGHT),
    "shaping.snapshots": Key("0,0.1,0.5,1,1.5,2", "epochs at which a critic is kept, joined by commas"),
    "shaping.images": Key(0, "training images used; 0 = all", COUNT_OR_0),
    "shaping.masks": Key("", "holes in training images, by name; empty = as `masks`"),
    "shaping.batch_size": Key(64, "images in a batch", COUNT),
    "shaping.learning_rate": Key(2e-4, "of the critic", POSITIVE),
    "shaping.start": Key("trained", "state of the critic's optimizer: trained (as it was), restarted; or fresh (a new critic)"),
    "shaping.stopping": Key("deterministic", "as refinement.stopping, for the samples that the critic learns from"),
    "shaping.log_every": Key(10, "steps between logged lines; 0 = none", COUNT_OR_0, resumable=True),
    "shaping.checkpoint_every": Key(100, "steps between checkpoints; 0 = only at the end", COUNT_OR_0, resumable=True),
    "acceptance.count": Key(2000, "samples accepted by rejection and by Metropolis-Hastings; 0 = none", COUNT_OR_0),
    "acceptance.epochs": Key(0.5, "epochs in which a critic learns to tell these samples from real images", WEIGHT),
    "acceptance.learning_rate": Key(2e-4, "of that critic", POSITIVE),
    "acceptance.proposals": Key(20, "proposals for each accepted sample", COUNT),
    "acceptance.share": Key(0.2, "smallest share of the proposals that rejection keeps", SHARE),
    **_inside("losses.*", COMPLETION),
    **_inside("search", _SEARCH),
}

DETECT: Keys = {
    **TRAINING,
    "history_run": Key("", "workdir of a run trained with history.every, used in place of an own GAN"),
    **_OWN_IMAGES,
    "anomaly.label": Key("", "the class left out of training and to be found, by name or number; empty = none"),
    "anomaly.others": Key("", "data sets to be found, joined by commas: NAME or PATH, with :SHARE of all test images (cifar10:0.28); noise"),
    "anomaly.false_positive_rate": Key(0.05, "share of normal images above the threshold", Limits(above=0, below=1)),
    "detector.alpha": Key(0.3, "time, as a share of the run, before which no generator is drawn", SHARE),
    "detector.beta": Key(1.0, "rate of exp(-beta t), the density of drawn generators and of the critics' weights in their mean", WEIGHT),
    "detector.margin": Key(0.15, "autoencoder: energy at which the detector is -1; energy 0 is 1", POSITIVE),
    "detector.bound": Key(10.0, "lambda_b: weight of the distance of scores to [-1, 1]", WEIGHT),
    "detector.start": Key("mean", "first weights: mean or last of the saved critics; of a new network scratch, or components (principal ones of normal images)"),
    "detector.rescale": Key(True, "whether a fixed scale first brings a saved critic's scores into [-1, 1]", older=True),
    "detector.critic": Key("", "a new network, named as in network.critic; empty = network.critic"),
    "detector.groups": Key(16, "different times t in a batch", COUNT),
    "detector.learning_rate": Key(5e-4, "at the start; falls to 0", POSITIVE),
    "detector.steps": Key(3000, "training steps, at most", COUNT),
    "detector.every": Key(100, "steps between evaluations on validation images", COUNT),
    "detector.patience": Key(20, "evaluations without progress that end training", COUNT),
    "baselines.shallow": Key(True, "whether baselines without a GAN are measured"),
    "baselines.searched": Key(0, "test images scored by latent search as in AnoGAN; 0 = none", COUNT_OR_0),
    **_inside("search", _SEARCH),
    **_inside("reconstruction", COMPLETION),
}

COLORIZE: Keys = {
    **TRAINING,
    **_OWN_IMAGES,
    **COLORS,
}

STUDY: Keys = {
    "seeds": Key(2, "runs of each arm, under the seeds 0, 1, ...", COUNT, resumable=True),
    "only": Key("", "the arms that are run, joined by commas; empty = all", resumable=True),
    "sweep.arm": Key("", "the arm of which there is one for every swept value; empty = no sweep"),
    "sweep.key": Key("", "the key that is swept"),
    "sweep.over": Key("", "its values, joined by commas", resumable=True),
    "shared.*": Key(None, "a training key that all arms have in common"),
    "arms.*.*": Key(None, "a training key of one arm"),
}
# fmt: on

KEYS: Mapping[str, Keys] = {
    "train": TRAINING,
    "study": STUDY,
    "inpaint": INPAINT,
    "collaborate": COLLABORATE,
    "detect": DETECT,
    "colorize": COLORIZE,
}
"""By program, the keys that all its configs have."""

OF_TASKS: Mapping[str, Keys] = {"pixels": PIXELS, "wells": PIXELS, "colors": COLORS}
"""By task, the keys that not every training config has."""

_OF_ARM = re.compile(r"^(shared|arms\.[^.]+)\.")
_OF_LOSS = re.compile(r"^losses\.[^.]+")


def find(key: str, program: str = "") -> Key:
    """Return the row of a key; a key without one has an empty row.

    Args:
        key: Dotted, as in a config, e.g. `losses.yeh.prior` or `shared.steps`.
        program: Whose config it is: a few keys mean different things to programs.
    """
    name = _OF_LOSS.sub("losses.*", _OF_ARM.sub("", key))
    tables = (KEYS.get(program, {}), *OF_TASKS.values(), *KEYS.values())
    return next((rows[name] for rows in tables if name in rows), Key(None, ""))
