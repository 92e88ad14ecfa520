"""Semantic inpainting by latent search under a trained prior.

Papers:   yeh: Yeh et al. 2017, arXiv 1607.07539; cooper: Cooper's Wasserstein study;
          ballester: Vitoria, Sintes & Ballester 2019, arXiv 1812.01071.
Prior:    --config.prior=<workdir of a training run>, e.g. of configs/wgan_gp.py.
Images:   unseen test images of the prior's data, or your own:
          --config.images=DIR --config.masks=DIR, or a hole by name.
Masks:    center (the middle half of each side), left, right, top, bottom (a half),
          random:0.8, pattern:0.25 (shares), squares:4 (a quarter in all); with a size
          in pixels of the prior's images center:16, left:12, ..., squares:4:16 (four
          of 16x16); joined by commas. Or a folder of masks, white = known.
Variants: yeh cooper ballester (default), joined by commas to be compared; adam and
          momentum search as published, exact for long and from everywhere; smoke.
Cost:     200 digits, one loss, half a minute on two CPU cores.

python -m gan_jax.main --config=configs/inpaint.py --config.prior=runs/wgan_gp
python -m gan_jax.main --config=configs/inpaint.py:yeh,cooper,ballester --config.prior=runs/wgan_gp --config.masks=center,random:0.8
"""  # noqa: E501

from gan_jax import config as configs
from gan_jax.variants import with_choice


def get_config(variant: str = ""):
    config = configs.inpainting("inpaint")
    return with_choice(config, variant, "ballester", LOSSES, VARIANTS)


# alpha, beta and eta of the papers are `context`, `gradient` and `prior`.
LOSSES = {
    "yeh": {**configs.COMPLETION, "unlikely": "saturating"},
    "cooper": {
        **configs.COMPLETION,
        "weights": "equal",
        "prior": 1.0,
        "composite": True,
    },
    "ballester": {
        **configs.COMPLETION,
        "context": 0.1,
        "gradient": 0.9,
        "prior": 0.5,
    },
}

_PUBLISHED = {
    "search.optimizer.learning_rate": 0.01,
    "search.optimizer.beta1": 0.9,
    "search.optimizer.beta2": 0.999,
    "search.patience": 0,
}

VARIANTS = {
    "adam": {
        **_PUBLISHED,
        "search.optimizer.name": "adam",
        "search.optimizer.schedule": "constant",
        "search.iterations": 1000,
    },
    "momentum": {
        **_PUBLISHED,
        "search.optimizer.name": "momentum",
        "search.optimizer.schedule": "stairs",
        "search.iterations": 1500,
    },
    # Of images in the generator's range, or nearly: the latent itself is found.
    "exact": {
        "search.iterations": 4000,
        "search.restarts": 8,
        "search.spread": 0.1,
        "search.patience": 0,
    },
    "smoke": {"count": 8, "search.iterations": 20, "search.restarts": 2},
}
