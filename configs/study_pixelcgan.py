"""What the weight of known pixels does: the study of the pixel-wise conditioned GAN.

Paper:    Ruffino, Herault, Laloy & Gasso 2019, arXiv 1911.00689, section 5; PacGAN's
          packed critic as in arXiv 2002.01281 (Lin et al. 2018, arXiv 1712.04086).
Arms:     pixelcgan under every weight (lambda) of --config.sweep.over; gan (nothing
          ties an image to its pixels), cgan (the critic sees the pixels), packed
          (lambda 10, a critic of two images at once).
Data:     as for configs/pixelcgan.py.
Variants: the data sets, narrow (short, for a CPU), smoke; joined by commas.
          --config.only=pixelcgan,cgan for some of the arms.
Cost:     fashion_mnist,narrow about three minutes a run on two CPU cores. The paper's
          grid, networks and ten seeds want an accelerator: fashion_mnist alone.

python -m gan_jax.main --config=configs/study_pixelcgan.py:fashion_mnist,narrow --config.seeds=3
"""  # noqa: E501

from gan_jax.config import defaults as configs

_ARMS = {
    "pixelcgan": {},
    "gan": {"pixel_weight": 0.0},
    "cgan": {"pixel_weight": 0.0, "condition_critic": True},
    "packed": {"packing": 2},
}

# Those of the published medians; a weight of the mean over known pixels.
_GRID = "0.1,0.4,0.7,1,2,5,10,28,142,701,2030,10000"


def get_config(variant: str = ""):
    arms = {}
    for name, values in _ARMS.items():
        arms[name] = configs.sibling(__file__, "pixelcgan", variant)
        arms[name].pixel_weight = 10.0
        arms[name].update_from_flattened_dict(values)
    sweep = {"arm": "pixelcgan", "key": "pixel_weight", "over": _GRID}
    config = configs.study("study_pixelcgan", arms, ("network.kernel",), sweep)
    config.seeds = 10
    return config
