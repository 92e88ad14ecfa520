"""The geometric GAN: hinge losses, spectral norm in the critic.

Paper:    Lim & Ye 2017, arXiv 1705.02894; Miyato et al. 2018, arXiv 1802.05957.
Data:     digits (default), photos, mnist, fashion_mnist, cifar10, svhn, celeba (TFDS,
          or --config.data.path), gaussians8, gaussians8_imbalanced, gaussians25, or
          your own folder of images.
Variants: the data sets, narrow (short, for a CPU), smoke; joined by commas.
Cost:     digits about 3 minutes on two CPU cores.

python -m gan_jax.main --config=configs/hinge.py
python -m gan_jax.main --config=configs/hinge.py:fashion_mnist,narrow
"""

from gan_jax.config import defaults as configs
from gan_jax.config.variants import GENERATION, POINTS, with_variants


def get_config(variant: str = ""):
    config = configs.generation("hinge")
    config.objective = "hinge"
    config.network.critic_normalisation = "spectral"
    config.optimizer.beta1 = 0.0
    config.optimizer.beta2 = 0.9
    return with_variants(config, variant, "digits", GENERATION, VARIANTS)


VARIANTS = {name: {"network.critic_normalisation": "spectral"} for name in POINTS}
