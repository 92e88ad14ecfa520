"""The Wasserstein GAN with a gradient penalty.

Paper:    Gulrajani et al. 2017, arXiv 1704.00028.
Data:     digits (default), photos, mnist, fashion_mnist, cifar10, svhn, celeba (TFDS,
          or --config.data.path), gaussians8, gaussians8_imbalanced, gaussians25, or
          your own folder of images.
Variants: the data sets, narrow (short, for a CPU), smoke; joined by commas.
Cost:     digits about 10 minutes on two CPU cores.

python -m gan_jax.main --config=configs/wgan_gp.py
python -m gan_jax.main --config=configs/wgan_gp.py:celeba
"""

from gan_jax import config as configs
from gan_jax.variants import GENERATION, POINTS, with_variants


def get_config(variant: str = ""):
    config = configs.generation("wgan_gp")
    config.objective = "wgan"
    config.critic_steps = 5
    config.gradient_penalty = 10.0
    config.network.critic_normalisation = "layer"
    config.latent.size = 128
    config.optimizer.learning_rate = 1e-4
    config.optimizer.beta1 = 0.5  # at 28x28
    config.optimizer.beta2 = 0.9
    config = with_variants(config, variant, "digits", GENERATION, VARIANTS)
    config.log_every = 5  # the estimate of the distance is to be looked at
    return config


# The paper's residual networks where images are 64x64; the weight of 10 is meant for
# images: in the plane it holds the critic too flat.
VARIANTS = {
    **{name: {"gradient_penalty": 1.0} for name in POINTS},
    **{name: {"optimizer.beta1": 0.0} for name in ("cifar10", "svhn")},
    "celeba": {
        "network.generator": "residual",
        "network.critic": "residual",
        "optimizer.beta1": 0.0,
    },
}
