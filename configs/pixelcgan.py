"""Train a generator of images under a handful of known pixels.

Papers:   Ruffino, Herault, Laloy & Gasso 2019, arXiv 1911.00689 and 2002.01281.
Prior:    none.
Data:     digits (no download), or your own: --config.data.path=PATH (a TFDS directory,
          a folder of images, or arrays). Variants choose photos, channels, mnist,
          fashion_mnist, cifar10, svhn or celeba.
Variants: the data sets; cgan (the paper's baseline: the critic sees the known pixels,
          lambda is 0); packed (the follow-up's critic of two images at once); sparse
          (0 to 20 known pixels, few as often as many); narrow (short runs for a CPU);
          smoke (one minute).
Cost:     digits: about 4 minutes on two CPU cores. mnist and fashion_mnist have the
          paper's widths and 40 epochs and need an accelerator.
Expected: digits: pixel_mse below 0.01, diversity above 0.9 of the real images'.
          Published medians at lambda 10: pixel_mse .021 on MNIST, .019 on
          Fashion-MNIST.

python -m gan_jax.main --config=configs/pixelcgan.py
python -m gan_jax.main --config=configs/pixelcgan.py:fashion_mnist,cgan
"""

from gan_jax.config import defaults
from gan_jax.config.variants import with_variants


def get_config(variant: str = ""):
    config = defaults.conditioning("pixelcgan")
    return with_variants(config, variant, "digits", VARIANTS)


# Narrow networks with 4x4 kernels, a warm-up, and a penalty that keeps the critic from
# memorising 1,164 images.
_NARROW = {
    "critic_penalty": 0.3,
    "optimizer.learning_rate": 6e-4,
    "optimizer.warmup": 300,
    "network.width": 16,
    "network.critic_width": 24,
    "network.kernel": 4,
}

_DIGITS = {
    **_NARROW,
    "steps": 2200,
    "evaluation.every": 500,
    "evaluation.final_count": 2000,
    "evaluation.classifier.width": 16,
    "evaluation.classifier.features": 64,
    "evaluation.classifier.epochs": 20,
    "pixel_weight": 2.0,
}

# 40 epochs of the 43,200 images that the critic sees; each epoch is evaluated.
_PAPER = {
    "steps": 27_000,
    "evaluation.every": 675,
    "fused_steps": 50,
    "log_every": 50,
}

VARIANTS = {
    "digits": _DIGITS,
    "photos": {
        **_DIGITS,
        "data.size": 32,
        "network.depth": 3,
    },
    "mnist": _PAPER,
    "fashion_mnist": _PAPER,
    "cgan": {"condition_critic": True, "pixel_weight": 0.0},
    "packed": {"packing": 2},
    "sparse": {
        "mask.fraction": 0.0,
        "mask.most": 20,
        "mask.numbers": "log",
    },
    # Some three minutes on two CPU cores.
    "narrow": {
        **_NARROW,
        "steps": 3000,
        "evaluation.every": 300,
        "evaluation.classifier.width": 32,
        "evaluation.classifier.epochs": 3,
    },
    "smoke": {
        "steps": 150,
        "optimizer.learning_rate": 1e-3,
        "batch_size": 16,
        "network.width": 8,
        "network.critic_width": 8,
        "network.kernel": 4,
        "evaluation.count": 200,
        "evaluation.final_count": 200,
        "evaluation.every": 50,
        "evaluation.classifier.width": 8,
        "evaluation.classifier.features": 32,
        "evaluation.classifier.epochs": 4,
        "fused_steps": 10,
        "checkpoint_every": 50,
        "sample_every": 50,
    },
}
