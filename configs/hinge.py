"""Train a plain GAN with hinge losses and spectral norm in the critic.

Papers:   Lim & Ye 2017, arXiv 1705.02894; Miyato et al. 2018, arXiv 1802.05957.
Prior:    none.
Data:     digits (no download), or your own: --config.data.path=PATH (a TFDS directory,
          a folder of images, or arrays). Variants choose photos, channels, mnist,
          fashion_mnist, cifar10, svhn, celeba, gaussians8, gaussians8_imbalanced or
          gaussians25.
Variants: the data sets; narrow (short runs for a CPU); smoke (one minute).
Cost:     digits: about 3 minutes on two CPU cores.
Expected: FID of fashion_mnist,narrow in compare_objectives.py: 109 +- 4.

python -m gan_jax.main --config=configs/hinge.py
python -m gan_jax.main --config=configs/hinge.py:fashion_mnist,narrow
"""

from gan_jax.config import defaults
from gan_jax.config.variants import GENERATION, POINTS, with_variants


def get_config(variant: str = ""):
    config = defaults.generation("hinge")
    config.objective = "hinge"
    config.network.critic_normalisation = "spectral"
    config.optimizer.beta1 = 0.0
    config.optimizer.beta2 = 0.9
    return with_variants(config, variant, "digits", GENERATION, VARIANTS)


VARIANTS = {name: {"network.critic_normalisation": "spectral"} for name in POINTS}
