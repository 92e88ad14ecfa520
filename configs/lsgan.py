"""Train a plain GAN with least squares losses (LSGAN).

Paper:    Mao et al. 2016, arXiv 1611.04076.
Prior:    none.
Data:     digits (no download), or your own: --config.data.path=PATH (a TFDS directory,
          a folder of images, or arrays). Variants choose photos, channels, mnist,
          fashion_mnist, cifar10, svhn, celeba, gaussians8, gaussians8_imbalanced or
          gaussians25.
Variants: the data sets; narrow (short runs for a CPU); smoke (one minute).
Cost:     digits: about 3 minutes on two CPU cores.
Expected: FID of fashion_mnist,narrow in compare_objectives.py: 128 +- 7.

python -m gan_jax.main --config=configs/lsgan.py
python -m gan_jax.main --config=configs/lsgan.py:fashion_mnist,narrow
"""

from gan_jax.config import defaults
from gan_jax.config.variants import GENERATION, with_variants


def get_config(variant: str = ""):
    config = defaults.generation("lsgan")
    config.objective = "lsgan"
    return with_variants(config, variant, "digits", GENERATION)
