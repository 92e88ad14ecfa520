"""Configs: the keys that every kind of run has, with their defaults.

Imports no JAX, so that `--help` and a mistyped flag are answered at once.
"""

import runpy
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_jax.config.keys import flatten, nested


def training(name: str) -> ConfigDict:
    """Return the keys that every training config has, with their defaults."""
    return ConfigDict(
        {
            "name": name,
            "program": "train",
            "task": "",
            "seed": 0,
            # Each is `critic_steps` updates of the critic, then `generator_steps`
            # of the generator; published codes count iterations in the same way.
            "steps": 1000,
            "batch_size": 64,
            "objective": "nonsaturating",
            "critic_steps": 1,  # updates of the critic in a step
            # Its updates in the first steps and in multiples of `every`.
            "critic_boost": {"steps": 0, "first": 0, "every": 0},
            "generator_steps": 1,  # updates of the generator in a step, after those
            "critic_clip": 0.0,  # its weights stay within +- this; 0 = anywhere
            "critic_penalty": 0.0,  # gamma of R1, the penalty on real images
            "fake_penalty": 0.0,  # gamma of R2, the same on generated ones
            "gradient_penalty": 0.0,  # weight of (slope - 1)^2 between the two
            "margin": 1.0,  # energy beyond which EBGAN's critic rests
            "pulling_away": 0.0,  # weight of the codes' squared cosines
            "precision": "float32",  # or bfloat16: of what the networks compute
            "average_decay": 0.999,  # of the moving average of the generator
            "data": {
                "name": "digits",
                "path": "",  # a TFDS directory, arrays, or a folder of images
                "size": 28,
                "crop": 0,  # centre square kept before resizing; 0 = the largest
                "without": "",  # classes left out, by name or number
                # This share of all images, official test ones too, is for the test;
                # 0 = the official part.
                "held_out": 0.0,
                "download": False,  # let TFDS prepare a missing set
                "feed": "auto",  # resident, streamed, or by what fits
            },
            "latent": {"size": 100, "prior": "normal"},
            "network": {
                "generator": "dcgan",
                "critic": "dcgan",
                "width": 64,  # filters of the generator at full resolution
                "critic_width": 64,  # filters of the critic's first layer
                "normalisation": "batch",  # of the generator, or none
                "critic_normalisation": "batch",  # or layer, spectral, none
                "depth": 2,  # the smallest image is size / 2^depth
                "critic_depth": 0,  # 0 = as the generator's
                "kernel": 5,
                # What a penalty takes for an image's score where the critic gives a map
                # of scores: its mean, or its sum. Objectives take the mean.
                "map": "mean",
                # Of a dense autoencoder: values of its layers, 0 = critic_width; and of
                # a code between them, 0 = none (of a linear one: critic_width).
                "hidden": 0,
                "code": 0,
            },
            "optimizer": {
                "name": "adam",
                "learning_rate": 2e-4,
                "beta1": 0.5,
                "beta2": 0.999,
                "warmup": 0,  # steps over which the learning rate rises from 0
            },
            "evaluation": {
                "every": 0,  # steps; 0 = at the end only
                "count": 2000,  # images generated on the way, for validation
                "final_count": 10_000,  # and at the end, for the test
                # Its features are what FID and its like compare.
                "classifier": {"width": 64, "features": 256, "epochs": 4},
            },
            "history": {"every": 0},  # keep both networks every so many steps
            "fused_steps": 20,  # in one compiled call, without the host between
            "log_every": 20,
            "checkpoint_every": 500,
            "sample_every": 500,
        }
    )


def generation(name: str) -> ConfigDict:
    """Return the defaults of a plain GAN's config."""
    config = training(name)
    config.task = "samples"
    return config


_SHARED = (
    "steps",
    "batch_size",
    "precision",
    "data.path",
    "network.width",
    "network.critic_width",
    "evaluation.every",
    "evaluation.count",
    "evaluation.final_count",
    "evaluation.classifier.width",
    "evaluation.classifier.epochs",
)


def study(
    name: str,
    arms: Mapping[str, ConfigDict],
    shared: Collection[str] = (),
    sweep: Mapping[str, str] | None = None,
) -> ConfigDict:
    """Return the config of a study that compares training configs.

    Args:
        name: of the study.
        arms: what is compared, by name.
        shared: dotted keys that all arms get from `shared`, beside those of every
            study; their defaults are the first arm's.
        sweep: an `arm` of which there is one for every value, of those that the sweep
            is `over` (joined by commas), of a `key`.
    """
    first = flatten(next(iter(arms.values())))
    shared = (*_SHARED, *shared)
    common = {"seed", *shared}  # no arm has a say in these
    return ConfigDict(
        {
            "name": name,
            "program": "study",
            "seeds": 2,  # runs of each arm, of the seeds 0, 1, ...
            "only": "",  # some of the arms, joined by commas; empty = all
            # An arm of which there are many: for every value of a key.
            "sweep": dict(sweep or {"arm": "", "key": "", "over": ""}),
            "shared": nested({key: first[key] for key in shared}),
            "arms": {
                name: nested(
                    {
                        key: value
                        for key, value in flatten(arm).items()
                        if key not in common
                    }
                )
                for name, arm in arms.items()
            },
        }
    ).lock()


def inpainting(name: str) -> ConfigDict:
    """Return the keys of a config that completes images, but for its losses."""
    return ConfigDict(
        {
            "name": name,
            "program": "inpaint",
            "seed": 0,
            "prior": "",  # the workdir of a trained run
            "images": "",  # a folder of the user's; empty = test images of its data
            "masks": "center",  # holes by name, joined by commas; or a folder of masks
            "degradation": "",  # e.g. grey, downsample:4, blur:1.5, noise:0.05, joined
            "count": 200,  # test images
            "blend": True,  # Poisson blending beside the plain composite
            "completions": 4,  # different ones shown of each image
            "along": 8,  # images drawn along their search; 0 = none
            "losses": {},
            # Losses of which there is one for every setting: names of losses, and of
            # their numbers, joined by commas; settings joined by commas, the numbers
            # of each by colons.
            "sweep": {"loss": "", "key": "", "over": ""},
            "search": dict(_SEARCH),
        }
    )


def collaboration(name: str) -> ConfigDict:
    """Return the keys of a config that refines samples, or completed images."""
    return ConfigDict(
        {
            "name": name,
            "program": "collaborate",
            "seed": 0,
            "prior": "",  # the workdir of a trained run
            # A hole by name, or a folder of masks: images are completed and refined;
            # empty = samples are.
            "masks": "",
            "images": "",  # a folder of the user's; empty = test images of its data
            "count": 10_000,  # samples, or test images
            "refinement": {
                "layer": 1,  # the stage whose input is refined; 0 = latents
                "steps": 50,  # at most
                "rate": 0.3,
                "momentum": 0.9,
                # As the authors' code; saturating is the paper's text.
                "unlikely": "nonsaturating",
                # Until as good as the median real image, the best kept (the papers'
                # text); best: all steps, the best kept (their code); or probabilistic,
                # after a number of steps that is drawn.
                "stopping": "deterministic",
                # The part by which the jump between known pixels and their generated
                # neighbours may grow in an image that is kept as refined.
                "slack": 0.0,
                "slots": 16,  # at once; a waiting one takes the place of one that ends
            },
            "shaping": {
                "epochs": 2.0,  # of training images; 0 = the critic as it was trained
                "snapshots": "0,0.1,0.5,1,1.5,2",  # epochs
                "images": 0,  # of the training images so many; 0 = all
                "masks": "",  # holes in them by name; empty = as in `masks`
                "batch_size": 64,
                "learning_rate": 2e-4,
                # The optimiser's state as training left it; or restarted; or a fresh
                # critic.
                "start": "trained",
                "stopping": "deterministic",
                "log_every": 10,
                "checkpoint_every": 100,
            },
            # Beside refinement, rejection and Metropolis-Hastings on its scores.
            "acceptance": {
                "count": 2000,  # samples accepted; 0 = leave it out
                "epochs": 0.5,  # in which a critic learns to tell them from real ones
                "learning_rate": 2e-4,
                "proposals": 20,  # for each of them
                "share": 0.2,  # least share that rejection would keep
            },
            "losses": {"yeh": dict(COMPLETION)},
            "search": dict(_SEARCH),
        }
    )


def detection(name: str) -> ConfigDict:
    """Return the keys of `detect`: a GAN's, and the detector's."""
    config = generation(name)
    config.program = "detect"
    config.history_run = ""  # a run trained with history.every, in place of its own
    config.prior = ""  # a run of this program, whose detector scores `images`
    config.images = ""  # a folder of the user's
    config.anomaly = ConfigDict(
        {
            "label": "",  # the class that no one has seen, by name or number
            # Other sets, by commas: a name or a path, and the share of all images
            # that they are to make up, e.g. cifar10:0.28; noise.
            "others": "",
            "false_positive_rate": 0.05,  # among normal images, at the threshold
        }
    )
    config.detector = ConfigDict(
        {
            "alpha": 0.3,  # share of the run before which no generator is drawn
            # Fall of the density of t over the run, as a logarithm: that of the
            # generators that are drawn, and of the critics' weights in their mean.
            "beta": 1.0,
            "margin": 0.15,  # energy of an autoencoder's where D_TV is -1; 0 is 1
            "bound": 10.0,  # lambda_b, weight of the distance to [-1, 1]
            # Of the saved critics; or last; or a new one, from scratch or between the
            # principal components of normal images (a linear autoencoder's).
            "start": "mean",
            # Whether the scores of a saved critic are first brought into [-1, 1] by
            # a fixed scale; False: the bound alone brings them there.
            "rescale": True,
            "critic": "",  # of a new one: a kind, as network.critic; empty = that one
            "groups": 16,  # times t in a batch
            "learning_rate": 5e-4,  # falls to 0
            "steps": 3000,
            "every": 100,  # steps between looks at validation images
            "patience": 20,  # looks without progress that end it
        }
    )
    config.baselines = ConfigDict(
        {"shallow": True, "searched": 0}  # test images searched for, as AnoGAN does
    )
    config.search = ConfigDict(dict(_SEARCH))
    config.reconstruction = ConfigDict(dict(COMPLETION))
    return config


def colorization(name: str) -> ConfigDict:
    """Return the keys of `colorize`: a GAN's, conditioned on lightness."""
    config = training(name)
    config.program = "colorize"
    config.task = "colors"
    config.prior = ""  # a run of this program, which colorizes `images`
    config.images = ""  # a folder of the user's
    config.condition_critic = True
    config.latent.prior = "none"
    config.adversarial_weight = 1.0
    # The reading of network.map that the weight belongs to. Where a gradient penalty
    # has the other one, the weight is multiplied or divided by the number of scores
    # in a map, to the same effect.
    config.adversarial_map = "mean"
    # Of scaled ab, which lie in [-1, 1]: l1 or l2, each a mean over an image's values.
    config.reconstruction = ConfigDict({"name": "l1", "weight": 100.0})
    # Of the divergence between what the generator and a teacher take an image for.
    config.class_weight = 0.0
    config.teacher = ConfigDict(
        {
            "path": "",  # teacher.msgpack of a run; empty = trained on the labels
            "classifier": {"width": 64, "features": 256, "epochs": 4},
        }
    )
    return config


_SEARCH: Mapping[str, Any] = {
    "optimizer": {
        "name": "natural",
        "learning_rate": 0.05,
        "beta1": 0.5,
        "beta2": 0.99,
        "schedule": "cosine",  # to 0; or constant, or stairs:
        "decay": 0.95,  # of the rate at each stair
        "stair": 100,  # iterations
    },
    "iterations": 100,
    "restarts": 4,
    "spread": 1.0,  # starts are cut off at this size
    "patience": 25,  # iterations without progress; 0 = make all
    "progress": 0.01,  # the part by which a loss falls that is progress
    "tolerance": 0.0,  # error of known values that ends a search, of 2
    "slots": 64,  # searches at once
    "length": 10,  # iterations between looks at which have ended
}
"""How latents are searched."""

COMPLETION: Mapping[str, Any] = {
    "weights": "near",  # of known pixels: near holes, far from them, or equal
    "context": 1.0,  # alpha, of differences from known values
    "gradient": 0.0,  # beta, of differences of their differences
    "prior": 0.003,  # eta, of how unlikely an image is
    "unlikely": "trained",  # as its generator was trained, or a form by name
    "composite": False,  # known pixels in the image that the critic scores
    "mean": False,  # over known values in place of the sum
}
"""What a loss of a search is, with its defaults."""


def sibling(path: str, name: str, variant: str) -> ConfigDict:
    """Load the config file `name` that lies beside another one, to be changed.

    Args:
        path: of the other one, its `__file__`.
        name: without `.py`.
        variant: passed on.
    """
    place = Path(path).with_name(f"{name}.py")
    config: ConfigDict = runpy.run_path(str(place))["get_config"](variant)
    return config.unlock()
