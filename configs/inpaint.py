"""Semantic inpainting by latent search under a trained prior.

Papers:   yeh: Yeh et al. 2017, arXiv 1607.07539; cooper: Cooper's Wasserstein study;
          ballester: Vitoria, Sintes & Ballester 2019, arXiv 1812.01071.
Prior:    --config.prior=<workdir of a training run>, e.g. of configs/wgan_gp.py.
Images:   unseen test images of the prior's data, or your own:
          --config.images=DIR --config.masks=DIR, or a hole by name.
Masks:    center, random:0.8, left, right, top, bottom, pattern:0.25, squares:4, joined
          by commas; or a folder of masks, white = known.
Variants: yeh cooper cooper_yeh ballester (default), joined by commas to be compared; adam and
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
    "yeh": configs.COMPLETION,
    # By the critic alone: -f(M y + (1 - M) G) under a Wasserstein critic.
    "cooper": {
        **configs.COMPLETION,
        "context": 0.0,
        "prior": 1.0,
        "composite": True,
    },
    # Yeh's loss with the critic f in D's place: the sum of M |G - y|, minus f(G).
    "cooper_yeh": {**configs.COMPLETION, "weights": "equal", "prior": 1.0},
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
