"""Train the modern baseline: relativistic losses with R1 and R2 (R3GAN).

Paper:    Huang et al. 2024, arXiv 2501.05441.
Prior:    none.
Data:     digits (no download), or your own: --config.data.path=PATH (a TFDS directory,
          a folder of images, or arrays). Variants choose photos, channels, mnist,
          fashion_mnist, cifar10, svhn, celeba, gaussians8, gaussians8_imbalanced or
          gaussians25.
Variants: the data sets; narrow (short runs for a CPU); smoke (one minute). digits,
          photos and narrow add batch normalisation to the generator. The paper has
          none; narrow networks learn faster with it.
Cost:     digits: about 4 minutes on two CPU cores.
Expected: FID of fashion_mnist,narrow in compare_objectives.py: 106 +- 2.

python -m gan_jax.main --config=configs/r3gan.py
python -m gan_jax.main --config=configs/r3gan.py:fashion_mnist,narrow
"""

from gan_jax.config import defaults
from gan_jax.config.variants import GENERATION, NARROW, with_variants


def get_config(variant: str = ""):
    config = defaults.generation("r3gan")
    config.objective = "relativistic"
    config.critic_penalty = 0.5
    config.fake_penalty = 0.5
    config.network.normalisation = "none"
    config.network.critic_normalisation = "none"
    config.optimizer.beta1 = 0.0
    config.optimizer.beta2 = 0.99
    return with_variants(config, variant, "digits", GENERATION, VARIANTS)


# The published networks have no normalisation layers, but they are residual and wide.
# Narrow strided networks learn twice as fast with normalisation in the generator.
VARIANTS = {name: {"network.normalisation": "batch"} for name in NARROW}
