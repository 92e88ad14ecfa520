"""Study the weight of known pixels (lambda) in configs/pixelcgan.py.

Papers:   Ruffino, Herault, Laloy & Gasso 2019, arXiv 1911.00689, section 5; the packed
          critic: arXiv 2002.01281 and Lin et al. 2018, arXiv 1712.04086.
Prior:    none.
Data:     as pixelcgan.py.
Variants: the data sets; narrow (short runs for a CPU); smoke.
          --config.only=pixelcgan,cgan takes some of the arms.
Arms:     pixelcgan at every lambda of --config.sweep.over; gan (nothing ties an image
          to its pixels); cgan (the critic sees the pixels); packed (lambda 10, a critic
          of two images at once).
Cost:     fashion_mnist,narrow: about three minutes a run on two CPU cores. The paper's
          grid, networks and ten seeds (fashion_mnist) need an accelerator.
Expected: fashion_mnist,narrow: pixel_mse falls with lambda, 0.130 at 0.1 to 0.0010 at
          10,000; FID is lowest at 0.1 and 1; see docs/results.md.

python -m gan_jax.main --config=configs/study_pixelcgan.py:fashion_mnist,narrow --config.seeds=3
"""  # noqa: E501

from gan_jax.config import defaults

_ARMS = {
    "pixelcgan": {},
    "gan": {"pixel_weight": 0.0},
    "cgan": {"pixel_weight": 0.0, "condition_critic": True},
    "packed": {"packing": 2},
}

# The values of the published medians; they weigh the mean over known pixels.
_GRID = "0.1,0.4,0.7,1,2,5,10,28,142,701,2030,10000"


def get_config(variant: str = ""):
    arms = {}
    for name, values in _ARMS.items():
        arms[name] = defaults.sibling(__file__, "pixelcgan", variant)
        arms[name].pixel_weight = 10.0
        arms[name].update_from_flattened_dict(values)
    sweep = {"arm": "pixelcgan", "key": "pixel_weight", "over": _GRID}
    config = defaults.study("study_pixelcgan", arms, ("network.kernel",), sweep)
    config.seeds = 10
    return config
