"""Train a plain GAN with the original losses, non-saturating by default.

Papers:   Goodfellow et al. 2014, arXiv 1406.2661; networks: Radford et al. 2015, arXiv
          1511.06434; fashion64: Mortiniera 2020.
Prior:    none.
Data:     digits (no download), or your own: --config.data.path=PATH (a TFDS directory,
          a folder of images, or arrays). Variants choose photos, channels, mnist,
          fashion_mnist, cifar10, svhn, celeba, gaussians8, gaussians8_imbalanced or
          gaussians25.
Variants: the data sets; narrow (short runs for a CPU); smoke (one minute). fashion64 is
          Mortiniera's prior: Fashion-MNIST resized from 28x28 to 64x64, a generator of
          1024-512-256-128 filters, 24,000 steps of one critic update and two generator
          updates. --config.objective=minimax trains the saturating form.
Cost:     digits: about 3 minutes on two CPU cores. fashion64: 15 minutes on one H100,
          31 hours on two CPU cores. Both fashion64 figures are estimates from measured
          rates of 64x64 networks (22 TFLOP/s and 138 GFLOP/s), without evaluations and
          plates.
Expected: FID of fashion_mnist,narrow in compare_objectives.py: 119 +- 4. fashion64,
          refined by the last command on 2,000 test images with a central hole of 32x32
          (published): SSIM .813 to .834, PSNR 23.71 to 24.48 dB.

python -m gan_jax.main --config=configs/gan.py --config.objective=minimax
python -m gan_jax.main --config=configs/gan.py:fashion_mnist,narrow
python -m gan_jax.main --config=configs/gan.py:fashion64 --workdir=runs/gan-fashion64
python -m gan_jax.main --config=configs/collaborate.py:inpainting,published64 --config.prior=runs/gan-fashion64
"""  # noqa: E501

from gan_jax.config import defaults
from gan_jax.config.variants import GENERATION, LARGE, with_variants


def get_config(variant: str = ""):
    config = defaults.generation("gan")
    config.objective = "nonsaturating"
    return with_variants(config, variant, "digits", GENERATION, VARIANTS)


VARIANTS = {
    "fashion64": {
        **LARGE,
        "data.name": "fashion_mnist",
        "data.size": 64,
        "network.depth": 4,
        "network.width": 128,
        "steps": 24_000,
        "generator_steps": 2,
    },
}
