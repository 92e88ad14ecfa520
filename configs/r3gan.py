"""The modern baseline: relativistic losses with R1 and R2.

Paper:    Huang et al. 2024, arXiv 2501.05441.
Data:     digits (default), photos, mnist, fashion_mnist, cifar10, svhn, celeba (TFDS,
          or --config.data.path), gaussians8, gaussians8_imbalanced, gaussians25, or
          your own folder of images.
Variants: the data sets, narrow (short, for a CPU), smoke; joined by commas.
          Where networks are narrow (digits, photos, narrow), the generator has batch
          normalisation, which the paper's has not.
Cost:     digits about 4 minutes on two CPU cores.

python -m gan_jax.main --config=configs/r3gan.py
python -m gan_jax.main --config=configs/r3gan.py:fashion_mnist,narrow
"""

from gan_jax.config import defaults as configs
from gan_jax.config.variants import GENERATION, NARROW, with_variants


def get_config(variant: str = ""):
    config = configs.generation("r3gan")
    config.objective = "relativistic"
    config.critic_penalty = 0.5
    config.fake_penalty = 0.5
    config.network.normalisation = "none"
    config.network.critic_normalisation = "none"
    config.optimizer.beta1 = 0.0
    config.optimizer.beta2 = 0.99
    return with_variants(config, variant, "digits", GENERATION, VARIANTS)


# The published networks have no normalisation layers, but are residual and wide:
# narrow strided ones learn twice as fast where the generator has them.
VARIANTS = {name: {"network.normalisation": "batch"} for name in NARROW}
