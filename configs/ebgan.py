"""Train an energy-based GAN with the pulling-away term (EBGAN).

Paper:    Zhao et al. 2016, arXiv 1609.03126. Energies are means over pixels.
Prior:    none.
Data:     digits (no download), or your own: --config.data.path=PATH (a TFDS directory,
          a folder of images, or arrays). Variants choose photos, channels, mnist,
          fashion_mnist, cifar10, svhn, celeba, gaussians8, gaussians8_imbalanced or
          gaussians25.
Variants: the data sets; narrow (short runs for a CPU); smoke (one minute).
Cost:     digits: about 4 minutes on two CPU cores.
Expected: FID of fashion_mnist,narrow in compare_objectives.py: 156 +- 47.

python -m gan_jax.main --config=configs/ebgan.py
python -m gan_jax.main --config=configs/ebgan.py:fashion_mnist,narrow
"""

from gan_jax.config import defaults
from gan_jax.config.variants import GENERATION, POINTS, with_variants


def get_config(variant: str = ""):
    config = defaults.generation("ebgan")
    config.objective = "ebgan"
    config.margin = 0.5
    config.pulling_away = 0.1
    config.network.critic = "autoencoder"
    return with_variants(config, variant, "digits", GENERATION, VARIANTS)


VARIANTS = {name: {"network.critic": "dense_autoencoder"} for name in POINTS}
