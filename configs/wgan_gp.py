"""Train a Wasserstein GAN with a gradient penalty (WGAN-GP).

Papers:   Gulrajani et al. 2017, arXiv 1704.00028; svhn64: the prior of Vitoria, Sintes
          & Ballester 2019, arXiv 1812.01071.
Prior:    none.
Data:     digits (no download), or your own: --config.data.path=PATH (a TFDS directory,
          a folder of images, or arrays). Variants choose photos, channels, mnist,
          fashion_mnist, cifar10, svhn, celeba, gaussians8, gaussians8_imbalanced or
          gaussians25.
Variants: the data sets; narrow (short runs for a CPU); smoke (one minute). celeba and
          svhn64 use residual networks at 64x64. svhn64 is SVHN resized from 32x32.
Cost:     digits: about 10 minutes on two CPU cores. svhn64: nine hours on one H100, two
          months on two CPU cores. Both svhn64 figures are estimates from measured rates
          of 64x64 networks (22 TFLOP/s and 138 GFLOP/s), without evaluations and
          plates.
Expected: FID of fashion_mnist,narrow in compare_objectives.py: 87 +- 1. svhn64,
          completed by the last command (published for two kinds of masks, weights .1,
          .9, .5): MSE 622.9 and 154.6, PSNR 20.19 and 26.24, SSIM .8005 and .8969. The
          paper does not give the number of training steps.

python -m gan_jax.main --config=configs/wgan_gp.py
python -m gan_jax.main --config=configs/wgan_gp.py:celeba
python -m gan_jax.main --config=configs/wgan_gp.py:svhn64 --workdir=runs/wgan_gp-svhn64
python -m gan_jax.main --config=configs/inpaint.py:ballester --config.prior=runs/wgan_gp-svhn64 --config.masks=center,random:0.8
"""  # noqa: E501

from gan_jax.config import defaults
from gan_jax.config.variants import GENERATION, LARGE, POINTS, with_variants


def get_config(variant: str = ""):
    config = defaults.generation("wgan_gp")
    config.objective = "wgan"
    config.critic_steps = 5
    config.gradient_penalty = 10.0
    config.network.critic_normalisation = "layer"
    config.latent.size = 128
    config.optimizer.learning_rate = 1e-4
    config.optimizer.beta1 = 0.5  # for 28x28 images
    config.optimizer.beta2 = 0.9
    config = with_variants(config, variant, "digits", GENERATION, VARIANTS)
    config.log_every = 5  # a fine curve of the estimated distance
    return config


# The paper's residual networks, for 64x64 images.
_RESIDUAL = {
    "network.generator": "residual",
    "network.critic": "residual",
    "optimizer.beta1": 0.0,
}

# The weight of 10 is meant for images; in the plane it keeps the critic too flat.
VARIANTS = {
    **{name: {"gradient_penalty": 1.0} for name in POINTS},
    **{name: {"optimizer.beta1": 0.0} for name in ("cifar10", "svhn")},
    "celeba": _RESIDUAL,
    "svhn64": {
        **LARGE,
        **_RESIDUAL,
        "data.name": "svhn_cropped",
        "data.size": 64,
        "network.depth": 4,
    },
}
