"""The least squares GAN.

Paper:    Mao et al. 2016, arXiv 1611.04076.
Data:     digits (default), photos, mnist, fashion_mnist, cifar10, svhn, celeba (TFDS,
          or --config.data.path), gaussians8, gaussians8_imbalanced, gaussians25, or
          your own folder of images.
Variants: the data sets, narrow (short, for a CPU), smoke; joined by commas.
Cost:     digits about 3 minutes on two CPU cores.

python -m gan_jax.main --config=configs/lsgan.py
python -m gan_jax.main --config=configs/lsgan.py:fashion_mnist,narrow
"""

from gan_jax.config import defaults as configs
from gan_jax.config.variants import GENERATION, with_variants


def get_config(variant: str = ""):
    config = configs.generation("lsgan")
    config.objective = "lsgan"
    return with_variants(config, variant, "digits", GENERATION)
