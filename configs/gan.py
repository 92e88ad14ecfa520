"""The original game, in its non-saturating form.

Paper:    Goodfellow et al. 2014, arXiv 1406.2661; networks: 1511.06434.
Data:     digits (default), photos, mnist, fashion_mnist, cifar10, svhn, celeba (TFDS,
          or --config.data.path), gaussians8, gaussians8_imbalanced, gaussians25, or
          your own folder of images.
Variants: the data sets, narrow (short, for a CPU), smoke; joined by commas.
Cost:     digits about 3 minutes on two CPU cores.

python -m gan_jax.main --config=configs/gan.py --config.objective=minimax
python -m gan_jax.main --config=configs/gan.py:fashion_mnist,narrow
"""

from gan_jax import config as configs
from gan_jax.variants import GENERATION, with_variants


def get_config(variant: str = ""):
    config = configs.generation("gan")
    config.objective = "nonsaturating"
    return with_variants(config, variant, "digits", GENERATION)
