"""Semantic inpainting by latent search under a trained prior.

Papers:   yeh: Yeh et al. 2017, arXiv 1607.07539; cooper: Cooper's Wasserstein study;
          ballester: Vitoria, Sintes & Ballester 2019, arXiv 1812.01071.
Prior:    --config.prior=<workdir of a training run>, e.g. of configs/wgan_gp.py.
Images:   unseen test images of the prior's data, or your own:
          --config.images=DIR --config.masks=DIR, or a hole by name.
Masks:    center, random:0.8, left, right, top, bottom, pattern:0.25, squares:4, joined
          by commas; or a folder of masks, white = known.
Variants: yeh cooper ballester (default), joined by commas to be compared; adam and
          momentum search as published, exact for long and from everywhere; smoke.
          vitoria compares the nine rows of the published table in one run: Yeh's loss,
          and with gradients (yeh_gradient) and Ballester's at four weights each. There
          Yeh's rows have a DCGAN (configs/gan.py), Ballester's configs/wgan_gp.py: read
          each under its own prior.
Sweeps:   --config.sweep.loss=ballester --config.sweep.key=context,gradient,prior
          --config.sweep.over=0.1:0.9:1,0.5:0.5:1 compares two settings of one loss.
Cost:     200 digits, one loss, half a minute on two CPU cores.

python -m gan_jax.main --config=configs/inpaint.py --config.prior=runs/wgan_gp
python -m gan_jax.main --config=configs/inpaint.py:yeh,cooper,ballester --config.prior=runs/wgan_gp --config.masks=center,random:0.8
python -m gan_jax.main --config=configs/inpaint.py:vitoria --config.prior=runs/wgan_gp
python -m gan_jax.main --config=configs/inpaint.py --config.prior=runs/wgan_gp --config.sweep.loss=ballester --config.sweep.key=gradient --config.sweep.over=0,0.3,0.9
"""  # noqa: E501

from gan_jax import config as configs
from gan_jax.variants import SEARCHES, with_choice


def get_config(variant: str = ""):
    config = configs.inpainting("inpaint")
    return with_choice(config, variant, "ballester", LOSSES, VARIANTS, COMPARISONS)


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

# The nine rows of Vitoria, Sintes & Ballester 2019, table 1: Yeh's loss has the form of
# its prior, log(1 - s(D)), and with gradients of the image his weights.
COMPARISONS = {
    "vitoria": {
        "yeh": {**LOSSES["yeh"], "unlikely": "saturating"},
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
