"""Train a GAN that makes the colours of images from their lightness.

Papers:   Isola et al. 2016, arXiv 1611.07004 (networks); Fabbri 2017 (the objectives
          compared); Vitoria, Raad & Ballester 2020, arXiv 1907.09837 (ChromaGAN).
Prior:    none. To colorize a folder of images of any size: --config.prior=WORKDIR of
          such a run and --config.images=DIR.
Data:     photos in colour (no download), or your own: --config.data.path=PATH (a TFDS
          directory, a folder of images, or arrays). Variants choose cifar10, svhn or
          celeba. Grey data (digits, channels, mnist, fashion_mnist) are
          refused.
Hints:    the variant hints, with any method, trains a colorizer that takes known colours
          at places of an image (Zhang et al. 2017, arXiv 1705.02999): beside
          --config.images=DIR, --config.hints=DIR with NAME.csv (x,y,r,g,b).
Variants: the methods, the data sets; narrow (short runs for a CPU); smoke; published
          (the papers' sizes and rates: Fabbri's 256x256 U-Net with batches of 32, or
          with a ChromaGAN method its 224x224 with batches of 10).
Methods:  lsgan (default), gan, ebgan, wgan and wgan_gp train a U-Net against a patch
          critic; regression trains it without a critic. chromagan, chromagan_sum (the
          penalty of its code), chromagan_no_class and chromagan_no_adversarial (its
          ablations) use a teacher trained on the data's labels, or
          --config.teacher.path=RUN/teacher.msgpack.
Cost:     photos: five minutes on two CPU cores; cifar10,narrow the same. published:
          four hours on one H100 (25 days on two CPU cores); chromagan,published: 15
          hours. The published figures are estimates from measured rates of other
          networks (22 TFLOP/s and 138 GFLOP/s), without evaluations and plates.
Expected: cifar10,narrow: FID 7.1 +- 0.1, colourfulness 14.3 +- 0.6 (lsgan).
          chromagan,published on ImageNet, PSNR (published): 24.98, without the class
          term 25.04, without a critic 25.57. Fabbri measured nothing.

python -m gan_jax.main --config=configs/colorize.py
python -m gan_jax.main --config=configs/colorize.py:cifar10,narrow,wgan_gp
python -m gan_jax.main --config=configs/colorize.py:published --config.data.path=DIR --workdir=runs/colorize-published
python -m gan_jax.main --config=configs/colorize.py:chromagan,published --config.data.path=DIR --workdir=runs/colorize-chromagan-published
python -m gan_jax.main --config=configs/colorize.py --config.prior=runs/colorize --config.images=DIR --workdir=runs/colorized
"""  # noqa: E501

from gan_jax.config import defaults
from gan_jax.config.variants import IMAGES, with_variants


def get_config(variant: str = ""):
    config = defaults.colorization("colorize")
    config.objective = "lsgan"
    config.data.name = "photos"
    config.data.size = 32
    config.network.generator = "unet"
    config.network.critic = "patch"
    config.network.kernel = 4
    config.network.depth = 4
    config.network.critic_depth = 3
    return with_variants(config, variant, "photos", IMAGES, VARIANTS)


# A few minutes on two CPU cores.
_SHORT = {
    "batch_size": 32,
    "optimizer.warmup": 100,
    "steps": 800,
    "evaluation.every": 100,
    "teacher.classifier.width": 32,
}

_WASSERSTEIN = {"objective": "wgan", "critic_steps": 2}

# Gulrajani et al.: the penalty needs a critic that sees each image alone.
_PENALISED = {
    **_WASSERSTEIN,
    "gradient_penalty": 10.0,
    "network.critic_normalisation": "layer",
    "optimizer.beta2": 0.9,
}

# The published weights belong to ab in [0, 1], 8-bit levels over 255. Our values of ab
# are 255 / 110 times as far apart. So a mean squared error is 5.37 times as large, and
# a Wasserstein distance 2.32 times. Adam ignores a common factor. The published penalty
# holds the slope of the sum of the critic's map at 1, so the weight 0.1 * 2.32 belongs
# to the sum. For the mean it is divided by the number of scores in a map: 0.0145 at
# 32x32 (4x4 scores), 3.0e-4 at 224x224 (28x28).
_UNIT = 255 / 110
_CHROMA = {
    **_PENALISED,
    "critic_steps": 1,
    "optimizer.beta2": 0.999,
    "network.generator": "chroma",
    "reconstruction.name": "l2",
    "reconstruction.weight": 1.0,
    "adversarial_weight": 0.1 * _UNIT,
    "adversarial_map": "sum",
    "class_weight": 0.003 * _UNIT**2,
}
_NO_ADVERSARIAL = {
    "objective": "wgan",
    "critic_steps": 1,
    "gradient_penalty": 0.0,
    "network.critic": "blind",
}

# The sizes and rates of the papers, for any data set. Fabbri does not say how long he
# trained; ChromaGAN saw the 1.28 million images of ImageNet five times.
_PUBLISHED = {
    "data.size": 256,
    "batch_size": 32,
    "network.width": 64,
    "network.critic_width": 64,
    "network.kernel": 4,
    "network.depth": 7,
    "network.critic_depth": 3,
    "optimizer.learning_rate": 2e-5,
    "optimizer.warmup": 0,
    "steps": 100_000,
    "evaluation.every": 5000,
    "evaluation.final_count": 10_000,
    "evaluation.classifier.width": 64,
    "evaluation.classifier.features": 256,
    "evaluation.classifier.epochs": 4,
    "teacher.classifier.width": 64,
    "fused_steps": 10,
    "checkpoint_every": 2000,
    "sample_every": 5000,
}
_CHROMA_PUBLISHED = {
    "network.map": "sum",
    "data.size": 224,
    "batch_size": 10,
    "network.critic_normalisation": "none",
    "steps": 640_000,
    "evaluation.every": 20_000,
}

# Methods that take a rate of 3e-4, not the 1e-3 of narrow networks. FID at 3e-4 and at
# 1e-3, on the 700 validation images of the CIFAR-10 sample, 800 steps, seed 0: gan 9.0
# and 9.8, wgan_gp 8.8 and 8.9, chromagan 10.6 and 13.1 (lsgan 11.4 and 11.1, ebgan 17.5
# and 16.9, which keep 1e-3).
_SLOW = (
    "gan",
    "wgan_gp",
    "chromagan",
    "chromagan_sum",
    "chromagan_no_class",
    "chromagan_no_adversarial",
)

VARIANTS = {
    "photos": {**_SHORT, "network.depth": 4},
    "narrow": _SHORT,
    "smoke": {
        "batch_size": 16,
        "steps": 100,
        "evaluation.every": 50,
        "evaluation.classifier.epochs": 1,
        "network.depth": 3,
        "network.critic_depth": 2,
        "teacher.classifier.width": 8,
    },
    "cifar10": {"network.depth": 4},
    "svhn": {"network.depth": 4},
    "celeba": {"network.depth": 5},
    "gan": {"objective": "nonsaturating"},
    "lsgan": {},
    "ebgan": {
        "objective": "ebgan",
        "margin": 0.02,
        "network.critic": "autoencoder",
        "network.critic_depth": 3,
    },
    # Clipped to the published 0.01 the critic is too flat to matter beside an L1 term
    # of weight 100: FID on validation images of CIFAR-10 is 17.8, and 17.7 at 0.03.
    "wgan": {
        **_WASSERSTEIN,
        "critic_clip": 0.1,
        "optimizer.name": "rmsprop",
        "optimizer.beta2": 0.99,
    },
    "wgan_gp": _PENALISED,
    "regression": {
        **_NO_ADVERSARIAL,
        "reconstruction.name": "l2",
    },
    **{f"narrow,{name}": {"optimizer.learning_rate": 3e-4} for name in _SLOW},
    "hints": {"simulated_hints.mean": 7.0},
    "chromagan": _CHROMA,
    "chromagan_sum": {**_CHROMA, "network.map": "sum"},
    "chromagan_no_class": {**_CHROMA, "class_weight": 0.0},
    "chromagan_no_adversarial": {**_CHROMA, **_NO_ADVERSARIAL},
    "published": _PUBLISHED,
    "chromagan,published": _CHROMA_PUBLISHED,
    "chromagan_sum,published": _CHROMA_PUBLISHED,
    "chromagan_no_class,published": _CHROMA_PUBLISHED,
    "chromagan_no_adversarial,published": _CHROMA_PUBLISHED,
}
