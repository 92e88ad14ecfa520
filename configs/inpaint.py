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
Variants: yeh cooper cooper_yeh ballester (default), joined by commas to be compared; adam and
          momentum search as published, exact for long and from everywhere; smoke.
          vitoria compares the nine rows of the published table in one run: Yeh's loss
          in its published form (yeh_saturating), and with gradients (yeh_gradient) and
          Ballester's at four weights each. There
          Yeh's rows have a DCGAN (configs/gan.py), Ballester's configs/wgan_gp.py: read
          each under its own prior.
Sweeps:   --config.sweep.loss=ballester --config.sweep.key=context,gradient,prior
          --config.sweep.over=0.1:0.9:1,0.5:0.5:1 compares two settings of one loss.
Cost:     200 digits, one loss, half a minute on two CPU cores.

python -m gan_jax.main --config=configs/inpaint.py --config.prior=runs/wgan_gp
python -m gan_jax.main --config=configs/inpaint.py:yeh,cooper,ballester --config.prior=runs/wgan_gp --config.masks=center,random:0.8
python -m gan_jax.main --config=configs/inpaint.py:vitoria --config.prior=runs/wgan_gp
python -m gan_jax.main --config=configs/inpaint.py --config.prior=runs/wgan_gp --config.sweep.loss=ballester --config.sweep.key=gradient --config.sweep.over=0,0.3,0.9 --workdir=runs/weights
"""  # noqa: E501

from gan_jax.config import defaults as configs
from gan_jax.config.variants import SEARCHES, with_choice


def get_config(variant: str = ""):
    config = configs.inpainting("inpaint")
    return with_choice(config, variant, "ballester", LOSSES, VARIANTS, COMPARISONS)


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

# The nine rows of Vitoria, Sintes & Ballester 2019, table 1. All are Yeh's loss and
# Ballester's under one prior here, so Yeh's rows keep what told them apart there, the
# form log(1 - s(D)); Ballester's have the one that the prior was trained with.
COMPARISONS = {
    "vitoria": {
        "yeh_saturating": {**LOSSES["yeh"], "unlikely": "saturating"},
        "yeh_gradient": {**LOSSES["ballester"], "unlikely": "saturating"},
        "ballester": LOSSES["ballester"],
    },
}

VARIANTS = {
    "vitoria": {
        "sweep.loss": "yeh_gradient,ballester",
        "sweep.key": "context,gradient,prior",
        "sweep.over": "0.1:0.9:1,0.5:0.5:1,0.1:0.9:0.5,0.5:0.5:0.5",
    },
    **SEARCHES,
    "smoke": {"count": 8, "search.iterations": 20, "search.restarts": 2},
}
