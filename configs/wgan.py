"""Train a Wasserstein GAN with clipped critic weights (WGAN).

Papers:   Arjovsky et al. 2017, arXiv 1701.07875; celeba: settings of Cooper's study.
Prior:    none.
Data:     digits (no download), or your own: --config.data.path=PATH (a TFDS directory,
          a folder of images, or arrays). Variants choose photos, channels, mnist,
          fashion_mnist, cifar10, svhn, celeba, gaussians8, gaussians8_imbalanced or
          gaussians25.
Variants: the data sets; narrow (short runs for a CPU); smoke (one minute). celeba is
          Cooper's study as published: the central 108x108 of each face at 64x64, 75,000
          steps.
Cost:     digits: about 10 minutes on two CPU cores. celeba: 40 minutes on one H100,
          four and a half days on two CPU cores. Both celeba figures are estimates from
          measured rates of 64x64 networks (22 TFLOP/s and 138 GFLOP/s), without
          evaluations and plates.
Expected: FID of fashion_mnist,narrow in compare_objectives.py: 183 +- 2. celeba: the
          critic's estimate of the distance falls along the run, under a median filter
          of 101 values. The last command completes 200 test images. Published: Cooper's
          own loss (cooper) was reasonable under the central hole and lost the context
          under random masks; Yeh's loss with his critic (cooper_yeh) keeps it.

python -m gan_jax.main --config=configs/wgan.py
python -m gan_jax.main --config=configs/wgan.py:celeba --workdir=runs/wgan-celeba
python -m gan_jax.main --config=configs/inpaint.py:cooper,cooper_yeh --config.prior=runs/wgan-celeba --config.masks=center:16,random:0.8 --config.count=200
"""  # noqa: E501

from gan_jax.config import defaults
from gan_jax.config.variants import GENERATION, NARROW, POINTS, with_variants


def get_config(variant: str = ""):
    config = defaults.generation("wgan")
    config.objective = "wgan"
    config.critic_steps = 5
    config.critic_boost = {"steps": 100, "first": 25, "every": 500}
    config.critic_clip = 0.01
    config.latent.prior = "uniform"
    config.optimizer.name = "rmsprop"
    config.optimizer.learning_rate = 5e-5
    config.optimizer.beta2 = 0.99
    config = with_variants(config, variant, "digits", GENERATION, VARIANTS)
    config.log_every = 5  # a fine curve of the estimated distance
    return config


# Dense layers of this size are nearly flat when clipped to +-0.01.
_POINTS = {
    "critic_clip": 0.1,
    "latent.prior": "normal",
    "optimizer.learning_rate": 5e-4,
}
VARIANTS = {
    **dict.fromkeys(POINTS, _POINTS),
    **{name: {"optimizer.learning_rate": 5e-4} for name in NARROW},
}
