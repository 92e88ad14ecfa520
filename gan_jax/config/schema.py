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
    is_size: bool = False
    """Whether it is the size of images: a number, or a text such as `48x96`."""
    older: Any = None
    """The value that counts for a run written before the key existed; None = every run
    has the key."""
    settled: bool = False
    """Whether `auto` is settled when a run begins: one that continues keeps what its
    config states."""


Keys = Mapping[str, Key]
"""Rows by dotted key; `*` stands for any name."""


def _inside(group: str, rows: Keys) -> dict[str, Key]:
    """Return rows with the name of a group before every key."""
    return {f"{group}.{key}": row for key, row in rows.items()}


# One row, one line.
# ruff: noqa: E501
# fmt: off
_RESOURCES: Keys = {
    "memory": Key(0.0, "memory in GiB that a run may take, by an estimate before it starts; 0 = what the machine has", WEIGHT, resumable=True, older=0.0),
    "minutes": Key(0.0, "minutes after which a run stops where the same command continues, with exit code 75; 0 = no limit", WEIGHT, resumable=True, older=0.0),
}

_CLASSIFIER: Keys = {
    "width": Key(64, "filters of the classifier's first layer", COUNT),
    "features": Key(256, "length of the feature vectors that FID compares", COUNT),
    "epochs": Key(4, "training epochs of the classifier; 0 = no classifier and no FID", COUNT_OR_0),
}

TRAINING: Keys = {
    "task": Key("", "what the prior is trained for: samples, points, pixels, wells or colors"),
    "seed": Key(0, "seed of every random number", Limits(least=0, most=2**32 - 1)),
    "steps": Key(1000, "training steps, each of critic_steps and then generator_steps updates", COUNT, resumable=True),
    "batch_size": Key(64, "images in a batch", COUNT),
    "objective": Key("nonsaturating", "adversarial losses: minimax, nonsaturating, lsgan, ebgan, wgan, hinge or relativistic"),
    "critic_steps": Key(1, "updates of the critic in a step", COUNT),
    "critic_boost.steps": Key(0, "updates of the critic in a boosted step, in place of critic_steps", COUNT_OR_0),
    "critic_boost.first": Key(0, "the first so many steps are boosted", COUNT_OR_0),
    "critic_boost.every": Key(0, "every so many steps, one is boosted; 0 = none", COUNT_OR_0),
    "generator_steps": Key(1, "updates of the generator in a step", COUNT, older=1),
    "critic_clip": Key(0.0, "the critic's weights are clipped to +- this value; 0 = not clipped", WEIGHT),
    "critic_penalty": Key(0.0, "gamma of R1, the squared gradient of the critic at real images; 0 = off", WEIGHT),
    "fake_penalty": Key(0.0, "gamma of R2, the squared gradient of the critic at generated images; 0 = off", WEIGHT),
    "gradient_penalty": Key(0.0, "weight of (|gradient| - 1)^2 between real and generated images; 0 = off", WEIGHT),
    "margin": Key(1.0, "ebgan: energy of generated images above which the critic's loss is flat", WEIGHT),
    "pulling_away": Key(0.0, "ebgan: weight of the mean squared cosine between codes of a batch; 0 = off", WEIGHT),
    "precision": Key("float32", "type that the networks compute in: float32 or bfloat16; weights stay float32"),
    "average_decay": Key(0.999, "decay of the generator's moving average, per generator update", SHARE),
    "data.name": Key("digits", "digits, photos, channels, training_image, folder, arrays, gaussians8, ..., or the name of a TFDS data set"),
    "data.path": Key("", "TFDS directory, folder of images or arrays, or training image; empty = the default place", resumable=True),
    "data.few": Key(False, "whether fewer than 50 images of yours are trained on", resumable=True, older=True),
    "data.changed": Key("refuse", "data that changed since they were trained on: refuse or accept", resumable=True, older="refuse"),
    "data.size": Key(28, "size of the images in pixels: one number for squares, or height x width such as 48x96", COUNT, is_size=True),
    "data.crop": Key(0, "longer side in pixels of the centre that is resized; 0 = the largest centre", COUNT_OR_0),
    "data.levels": Key("auto", "levels that become black and white: auto (0 and the largest number of the bits that all images together use), full (of the files' type) or a:b such as 0:4095", older="auto"),
    "data.without": Key("", "classes left out, by name or number, joined by commas"),
    "data.held_out": Key(0.0, "share of all images held out for the test; 0 = the official test part", Limits(least=0, below=1)),
    "data.download": Key(False, "whether TFDS may download a missing data set"),
    "data.variable": Key("", "training image: the variable, or the array of an .npz file; empty = the only one", older=""),
    "data.no_data": Key("", "training image: numbers that stand for no value, joined by commas, or none; empty = recognise them", older=""),
    "data.scale": Key("", "training image: linear, log, rank or codes (of facies); empty = by its values", older=""),
    "data.layer": Key(0, "training image: one layer of several, from 1, the lowest; 0 = there is only one", COUNT_OR_0, older=0),
    "data.grid": Key("", "training image: cells of a table that states none, height x width such as 250x300, or along x, y, z: 300,250,1", older=""),
    "data.feed": Key("auto", "resident (on the device), streamed or auto (resident if the data fit)"),
    "data.flip": Key("none", "training images that are mirrored: none, or horizontal (half of them, drawn anew each time)", older="none"),
    "augment.kind": Key("auto", "changes of all images that the critic sees: color, translation and cutout, joined by commas; none; or auto (translation,cutout for fewer than 5,000 images of yours, else none)", older="none", settled=True),
    "augment.target": Key(0.0, "overfitting of the critic to which the probability of changes is adjusted, e.g. 0.6; 0 = always changed", SHARE, older=0.0),
    "augment.ramp": Key(100_000, "images that the critic sees while an adjusted probability rises from 0 to 1, at most", COUNT, older=100_000),
    "latent.size": Key(100, "length of a latent vector; of a map, of each cell's", COUNT),
    "latent.form": Key("vector", "vector (one for an image) or map (one for each of its innermost cells; latent_unet), which makes images of any size", older="vector"),
    "latent.prior": Key("normal", "latent distribution: normal, uniform (in [-1, 1]) or none (unet and chroma)"),
    "network.generator": Key("dcgan", "dcgan, residual, perceptron or latent_unet; without a latent: unet or chroma"),
    "network.critic": Key("dcgan", "dcgan, patch, residual, perceptron or blind; for ebgan: autoencoder, dense_autoencoder or linear_autoencoder"),
    "network.width": Key(64, "filters of the generator at full resolution", COUNT),
    "network.critic_width": Key(64, "filters of the critic's first layer", COUNT),
    "network.normalisation": Key("batch", "normalisation of the generator: batch or none"),
    "network.critic_normalisation": Key("batch", "normalisation of the critic: batch, layer, spectral or none"),
    "network.depth": Key(2, "halvings of the resolution in the generator; perceptrons: hidden layers", Limits(least=1, most=16)),
    "network.critic_depth": Key(0, "network.depth of the critic; 0 = as the generator", Limits(least=0, most=16)),
    "network.kernel": Key(5, "side of the convolution kernels, in pixels", COUNT),
    "network.margin": Key(0, "latent_unet: pixels made beyond each side and cut off; whole fields are then like crops", COUNT_OR_0, older=0),
    "network.map": Key("mean", "score that penalties take from a critic's map of scores: mean or sum", older="mean"),
    "network.hidden": Key(0, "dense_autoencoder: width of a hidden layer; 0 = critic_width", COUNT_OR_0),
    "network.code": Key(0, "length of the code; 0 = none (dense_autoencoder) or critic_width (linear_autoencoder)", COUNT_OR_0),
    "optimizer.name": Key("adam", "adam, momentum or rmsprop"),
    "optimizer.learning_rate": Key(2e-4, "learning rate of both networks", POSITIVE),
    "optimizer.beta1": Key(0.5, "decay of the first moment, or the momentum", DECAY),
    "optimizer.beta2": Key(0.999, "decay of the second moment", DECAY),
    "optimizer.warmup": Key(0, "steps over which the learning rate rises from 0", COUNT_OR_0),
    "evaluation.every": Key(0, "steps between evaluations on validation images; 0 = none, and the last step is taken as the best", COUNT_OR_0, resumable=True),
    "evaluation.count": Key(2000, "images generated for an evaluation during training", COUNT),
    "evaluation.final_count": Key(10_000, "images generated for the evaluation on test images at the end", COUNT, resumable=True),
    **_inside("evaluation.classifier", _CLASSIFIER),
    "history.every": Key(0, "steps between snapshots of both networks that are kept; 0 = none", COUNT_OR_0),
    "fused_steps": Key(20, "steps in one compiled call", Limits(least=1, most=100_000), resumable=True),  # their logs wait on the device
    "log_every": Key(20, "steps between lines of metrics.jsonl after the first 20; 0 = none", COUNT_OR_0, resumable=True),
    "checkpoint_every": Key(500, "steps between checkpoints; 0 = only at the end", COUNT_OR_0, resumable=True),
    "sample_every": Key(500, "steps between pictures in samples/; 0 = only at the end", COUNT_OR_0, resumable=True),
    **_RESOURCES,
}

PIXELS: Keys = {
    "pixel_weight": Key(10.0, "lambda: weight of the mean squared error of known pixels", WEIGHT),
    "moments_weight": Key(0.0, "weight of the distance of the mean of levels, and of their squares, from real images: keeps proportions of facies", WEIGHT, older=0.0),
    "condition_critic": Key(False, "whether the critic sees the known pixels"),
    "packing": Key(1, "images that the critic sees at once, under one condition", COUNT, older=1),
    "mask.count": Key(0, "known pixels of each image, at least if mask.most is given; 0 = by mask.fraction", COUNT_OR_0),
    "mask.most": Key(0, "largest number of known pixels, drawn from mask.count up to this; 0 = always mask.count", COUNT_OR_0, older=0),
    "mask.numbers": Key("uniform", "how numbers up to mask.most are drawn: uniform or log (sparse ones more often, from none if mask.count and mask.fraction are 0)", older="uniform"),
    "mask.fraction": Key(0.005, "known share of the pixels, rounded down (3 of 28x28); 0 = by mask.count", SHARE),
    "mask.pattern": Key("", "an image file, white = known, used for every image; empty = random pixels"),
}

COLORS: Keys = {
    "condition_critic": Key(True, "whether the critic sees the lightness"),
    "adversarial_weight": Key(1.0, "weight of the adversarial loss of the generator", WEIGHT),
    "adversarial_map": Key("mean", "network.map that adversarial_weight is meant for: mean or sum", older="mean"),
    "reconstruction.name": Key("l1", "distance between ab channels in [-1, 1], a mean: l1 or l2"),
    "reconstruction.weight": Key(100.0, "weight of that distance", WEIGHT),
    "class_weight": Key(0.0, "weight of the divergence of the generator's classes from the teacher's; 0 = off", WEIGHT),
    "simulated_hints.mean": Key(0.0, "mean number of hints of an image in training, geometric from none on; 0 = the colorizer takes no hints", Limits(least=0, most=100), older=0.0),
    "simulated_hints.patch": Key(0, "side of the largest patch whose mean colour is a hint, in pixels; 0 = 1 + side / 32", COUNT_OR_0, older=0),
    "simulated_hints.none": Key(0.3, "share of images in training without hints, beside those for which the number 0 is drawn", SHARE, older=0.3),
    "simulated_hints.everything": Key(0.01, "share of images in training of which all colours are given", SHARE, older=0.01),
    "simulated_hints.recoloured": Key(0.5, "share of images with hints in training in which one thing gets another colour, so that a hint changes what is around it", SHARE, older=0.5),
    "teacher.path": Key("", "teacher.msgpack of another run; empty = train a teacher on the labels"),
    **_inside("teacher.classifier", {**_CLASSIFIER, "epochs": Key(4, "training epochs of the teacher", COUNT)}),
}

_SEARCH: Keys = {
    "optimizer.name": Key("natural", "natural, adam, momentum or rmsprop"),
    "optimizer.learning_rate": Key(0.05, "learning rate of latents, at the start", POSITIVE),
    "optimizer.beta1": Key(0.5, "decay of the first moment, or the momentum", DECAY),
    "optimizer.beta2": Key(0.99, "decay of the second moment", DECAY),
    "optimizer.schedule": Key("cosine", "schedule of the learning rate: cosine (to 0), constant or stairs"),
    "optimizer.decay": Key(0.95, "stairs: factor of the learning rate at each stair", Limits(above=0, most=1)),
    "optimizer.stair": Key(100, "stairs: iterations between two of them", COUNT),
    "iterations": Key(100, "iterations of a search, at most", COUNT),
    "restarts": Key(4, "starts for each image; the best result is kept", COUNT),
    "spread": Key(1.0, "starting latents are clipped to +- this value", WEIGHT),
    "patience": Key(25, "iterations without progress that end a search; 0 = never", COUNT_OR_0),
    "progress": Key(0.01, "relative decrease of the loss that counts as progress", Limits(least=0, below=1)),
    "tolerance": Key(0.0, "mean absolute error of known values (of range 2) that ends a search; 0 = never", WEIGHT),
    "slots": Key(64, "searches at once", COUNT),
    "length": Key(10, "iterations between checks for finished searches", COUNT),
}

COMPLETION: Keys = {
    "weights": Key("near", "weights of the known pixels: near (holes), far (from holes) or equal"),
    "context": Key(1.0, "alpha: weight of the absolute differences from known values", WEIGHT),
    "gradient": Key(0.0, "beta: weight of the absolute differences between image gradients", WEIGHT),
    "prior": Key(0.003, "eta: weight of the score loss", WEIGHT),
    "unlikely": Key("trained", "score loss: trained (as the generator), saturating, nonsaturating, least_squares, score or energy"),
    "composite": Key(False, "whether the critic scores the image with its known pixels put in"),
    "mean": Key(False, "whether the loss is divided by the number of known values"),
}
"""A loss of latent searches."""

_OWN_IMAGES: Keys = {
    "prior": Key("", "workdir of a run of this config to apply to `images`; empty = train one"),
    "images": Key("", "a folder of your images"),
}

INPAINT: Keys = {
    "seed": TRAINING["seed"],
    "prior": Key("", "workdir of a trained run, or the name of a packaged prior"),
    "images": Key("", "a folder of your images; empty = test images of the prior's data"),
    "data.levels": TRAINING["data.levels"]._replace(meaning="your images: as in training; auto = as the prior was trained, else by the bits in use"),
    "data.changed": Key("refuse", "data of the prior that changed since it was trained on them: refuse or accept", resumable=True, older="refuse"),
    "masks": Key("center", "none, center, left, right, top, bottom, random, pattern or squares, joined by commas; or a folder of masks, or one mask for all"),
    "masks_white": Key("known", "what white pixels of mask files are: known or missing", older="known"),
    "place": Key("", "how your images are laid under the prior: trained (the training images' crop), hole (windows over holes), square (the largest centre), search (the best of several windows); empty = trained if an image has the training images' size and the crop holds its hole, else hole", older="square"),
    "degradation": Key("", "grey, downsample:4, blur:1.5 or noise:0.05, joined by commas; empty = none"),
    "count": Key(200, "test images", COUNT),
    "blend": Key(True, "whether completions are Poisson-blended, beside the plain composites"),
    "completions": Key(4, "different completions of each image, in the report and, of your images, in images/others", COUNT),
    "along": Key(8, "images drawn along a search in the report; 0 = none", COUNT_OR_0, resumable=True, older=8),
    **_inside("losses.*", COMPLETION),
    "sweep.loss": Key("", "losses that are swept, joined by commas; empty = no sweep", older=""),
    "sweep.key": Key("", "their keys that are swept, joined by commas", older=""),
    "sweep.over": Key("", "settings joined by commas; the values of one setting joined by colons", resumable=True, older=""),
    **_inside("search", _SEARCH),
    **_RESOURCES,
}

GENERATE: Keys = {
    "seed": TRAINING["seed"],
    "prior": Key("", "workdir of a trained run, or the name of a packaged prior; empty = digits"),
    "epoch": Key("best", "networks of the run: best (by its criterion) or last"),
    "known": Key("", "known values: CSV, GSLIB points, image.png,mask.png (white = known), .npz, or a folder of them; empty = none"),
    "count": Key(64, "realisations of each set of known values", COUNT, resumable=True),
    "size": Key("", "height x width of the images, e.g. 250x300; empty = as trained, or as a known image"),
    "snap": Key("refuse", "several values in a cell: mean, nearest (to its centre) or refuse (if they differ)"),
    "variable": Key("", "GSLIB points: column of the known values; empty = the training image's variable, or the only one", older=""),
    "grid.origin": Key("", "GSLIB points: x,y of the centre of the lower left cell; empty = as the training image"),
    "grid.cell": Key("", "GSLIB points: sides of a cell along x,y; empty = as the training image"),
    "exact": Key(False, "whether known values are put into the images"),
    "refine": Key(False, "whether latents are searched until the known values are honoured"),
    "rounded": Key(True, "whether levels and codes of facies are rounded; False = 32-bit floats as the network makes them", older=True),
    "batch": Key(0, "images between two saves, rounded up to whole calls of the generator (up to 16); 0 = about 16 MiB", COUNT_OR_0, resumable=True),
    **_RESOURCES,
}

COLLABORATE: Keys = {
    "seed": TRAINING["seed"],
    "prior": INPAINT["prior"],
    "data.levels": INPAINT["data.levels"],
    "masks": Key("", "as in inpaint: refine completed images; empty = refine samples"),
    "masks_white": INPAINT["masks_white"],
    "images": INPAINT["images"],
    "place": INPAINT["place"],
    "data.changed": INPAINT["data.changed"],
    "count": Key(10_000, "samples, or test images", COUNT),
    "refinement.layer": Key(1, "stage of the generator whose input is refined; 0 = latents", COUNT_OR_0),
    "refinement.steps": Key(50, "steps of refinement, at most", COUNT_OR_0),
    "refinement.rate": Key(0.3, "learning rate of refinement", POSITIVE),
    "refinement.momentum": Key(0.9, "momentum of refinement", DECAY),
    "refinement.unlikely": Key("nonsaturating", "score loss: nonsaturating (as the authors' code), saturating (as the paper) or as in losses.*.unlikely"),
    "refinement.stopping": Key("deterministic", "deterministic (at the median real score, as the papers), best (all steps, as their code) or probabilistic"),
    "refinement.slack": Key(0.0, "largest relative growth of the jump at the hole's edge with which a refined image is kept", WEIGHT),
    "refinement.slots": Key(16, "samples refined at once", COUNT),
    "shaping.epochs": Key(2.0, "epochs of training images; 0 = the critic stays as trained", WEIGHT),
    "shaping.snapshots": Key("0,0.1,0.5,1,1.5,2", "epochs at which a critic is kept, joined by commas"),
    "shaping.images": Key(0, "training images used; 0 = all", COUNT_OR_0),
    "shaping.masks": Key("", "holes in training images, by name; empty = as `masks`"),
    "shaping.batch_size": Key(64, "images in a batch", COUNT),
    "shaping.learning_rate": Key(2e-4, "learning rate of the critic", POSITIVE),
    "shaping.start": Key("trained", "trained (with the optimizer's state), restarted (without) or fresh (a new critic)"),
    "shaping.stopping": Key("deterministic", "refinement.stopping of the samples that the critic learns from"),
    "shaping.log_every": Key(10, "steps between logged lines; 0 = none", COUNT_OR_0, resumable=True),
    "shaping.checkpoint_every": Key(100, "steps between checkpoints; 0 = only at the end", COUNT_OR_0, resumable=True),
    "acceptance.count": Key(2000, "samples accepted by rejection and by Metropolis-Hastings; 0 = none", COUNT_OR_0),
    "acceptance.epochs": Key(0.5, "training epochs of the critic that tells samples from real images", WEIGHT),
    "acceptance.learning_rate": Key(2e-4, "learning rate of that critic", POSITIVE),
    "acceptance.proposals": Key(20, "proposals for each accepted sample", COUNT),
    "acceptance.share": Key(0.2, "share of samples that rejection accepts with a chance above 1/2, at least", SHARE),
    **_inside("losses.*", COMPLETION),
    **_inside("search", _SEARCH),
    **_RESOURCES,
}

DETECT: Keys = {
    **TRAINING,
    "history_run": Key("", "workdir of a run trained with history.every; empty = train one"),
    **_OWN_IMAGES,
    "anomaly.label": Key("", "class to leave out of training and find, by name or number; empty = none. Where anomaly.normal finds normal classes: by name; empty or a number = all other classes"),
    "anomaly.normal": Key("auto", "classes of normal images, joined by commas; auto = folders called good, ok, normal and the like; empty = all but anomaly.label", older="auto"),
    "anomaly.others": Key("", "data sets to find, joined by commas: NAME or PATH[:SHARE of all images], or noise"),
    "anomaly.false_positive_rate": Key(0.05, "share of normal images that the threshold rejects", Limits(above=0, below=1)),
    "detector.alpha": Key(0.3, "first time t of generators that are drawn, as a share of the run", SHARE),
    "detector.beta": Key(1.0, "beta of exp(-beta t), the density of times of generators and critics", WEIGHT),
    "detector.margin": Key(0.15, "energy of an autoencoder that stands for -1; energy 0 stands for 1", POSITIVE),
    "detector.bound": Key(10.0, "lambda_b: weight of the distance of scores from [-1, 1]", WEIGHT),
    "detector.start": Key("mean", "mean or last (of the saved critics); scratch or components (principal, of normal images) for a new one"),
    "detector.rescale": Key(True, "whether scores of a saved critic are first scaled into [-1, 1]", older=True),
    "detector.critic": Key("", "kind of a new network, as network.critic; empty = network.critic"),
    "detector.groups": Key(16, "different times t in a batch", COUNT),
    "detector.learning_rate": Key(5e-4, "learning rate at the start; falls to 0", POSITIVE),
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
    "hints": Key("", "known colours in your images: a CSV file with x, y, r, g, b, or a folder with NAME.csv; empty = none", older=""),
    **COLORS,
}

STUDY: Keys = {
    "seeds": Key(2, "runs of each arm, under the seeds 0, 1, ...", COUNT, resumable=True),
    "only": Key("", "arms to run, joined by commas; empty = all", resumable=True),
    "sweep.arm": Key("", "arm that is run with every swept value; empty = no sweep"),
    "sweep.key": Key("", "key that is swept, one of the arm's that holds a float"),
    "sweep.over": Key("", "its values, joined by commas", resumable=True),
    **_RESOURCES,
    "shared.*": Key(None, "a training key that all arms have in common"),
    "arms.*.*": Key(None, "a training key of one arm"),
}
# fmt: on

KEYS: Mapping[str, Keys] = {
    "train": TRAINING,
    "study": STUDY,
    "inpaint": INPAINT,
    "generate": GENERATE,
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
