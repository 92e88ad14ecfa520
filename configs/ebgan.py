"""The energy-based GAN with the pulling-away term.

Paper:    Zhao et al. 2016, arXiv 1609.03126. Energies are means over pixels.
Data:     digits (default), photos, mnist, fashion_mnist, cifar10, svhn, celeba (TFDS,
          or --config.data.path), gaussians8, gaussians8_imbalanced, gaussians25, or
          your own folder of images.
Variants: the data sets, narrow (short, for a CPU), smoke; joined by commas.
Cost:     digits about 4 minutes on two CPU cores.

python -m gan_jax.main --config=configs/ebgan.py
python -m gan_jax.main --config=configs/ebgan.py:fashion_mnist,narrow
"""

from gan_jax.config import defaults as configs
from gan_jax.config.variants import GENERATION, POINTS, with_variants


def get_config(variant: str = ""):
    config = configs.generation("ebgan")
    config.objective = "ebgan"
    config.margin = 0.5
    config.pulling_away = 0.1
    config.network.critic = "autoencoder"
    return with_variants(config, variant, "digits", GENERATION, VARIANTS)


VARIANTS = {name: {"network.critic": "dense_autoencoder"} for name in POINTS}
