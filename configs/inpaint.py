"""Complete damaged images by searching the latent of a trained GAN.

Papers:   yeh: Yeh et al. 2017, arXiv 1607.07539; cooper: Cooper's Wasserstein study;
          ballester: Vitoria, Sintes & Ballester 2019, arXiv 1812.01071.
Prior:    a plain GAN: --config.prior=WORKDIR of gan.py, wgan_gp.py or similar.
Data:     test images of the prior's data, or your own: --config.images=DIR with
          --config.masks=DIR (a mask per image) or FILE (one for all) or a hole by name.
Variants: the losses yeh, cooper, cooper_yeh and ballester (default), joined by commas
          to compare them; vitoria (the nine rows of the published table); adam and
          momentum (the published searches); exact (long searches from eight starts);
          smoke. vitoria runs Yeh's loss in its published form (yeh_saturating), and
          Yeh's loss with gradients (yeh_gradient) and Ballester's at four weights each.
          The paper has Yeh's rows under a DCGAN (configs/gan.py) and Ballester's under
          configs/wgan_gp.py: run it under both priors.
Masks:    center (the middle half of each side); left, right, top, bottom (one half);
          random:0.8 and pattern:0.25 (missing shares); squares:4 (a quarter in all).
          With sizes in pixels of the prior's images: center:16, left:12, squares:4:16.
          Several are joined by commas.
Place:    --config.place=trained, hole, square or search: how your images are laid under
          the prior; empty chooses trained or hole (docs/inpainting.md).
Sweeps:   --config.sweep.loss=ballester --config.sweep.key=context,gradient,prior
          --config.sweep.over=0.1:0.9:1,0.5:0.5:1 compares two settings of one loss.
Cost:     200 digits, one loss: half a minute on two CPU cores.
Expected: prior gan.py:fashion_mnist,narrow of 6,000 steps, loss yeh: PSNR in the hole
          15.4 dB (center) and 17.4 dB (random:0.8); see docs/results.md.

python -m gan_jax.main --config=configs/inpaint.py --config.prior=runs/wgan_gp
python -m gan_jax.main --config=configs/inpaint.py:yeh,cooper,ballester --config.prior=runs/wgan_gp --config.masks=center,random:0.8
python -m gan_jax.main --config=configs/inpaint.py:vitoria --config.prior=runs/wgan_gp
python -m gan_jax.main --config=configs/inpaint.py --config.prior=runs/wgan_gp --config.sweep.loss=ballester --config.sweep.key=gradient --config.sweep.over=0,0.3,0.9 --workdir=runs/weights
"""  # noqa: E501

from gan_jax.config import defaults
from gan_jax.config.variants import SEARCHES, with_losses


def get_config(variant: str = ""):
    config = defaults.inpainting("inpaint")
    return with_losses(config, variant, "ballester", LOSSES, VARIANTS, COMPARISONS)


# `context`, `gradient` and `prior` are alpha, beta and eta of the papers.
LOSSES = {
    "yeh": defaults.COMPLETION,
    # The critic alone: -f(M y + (1 - M) G) for a Wasserstein critic.
    "cooper": {
        **defaults.COMPLETION,
        "context": 0.0,
        "prior": 1.0,
        "composite": True,
    },
    # Yeh's loss with a Wasserstein critic f: the sum of M |G - y|, minus f(G).
    "cooper_yeh": {**defaults.COMPLETION, "weights": "equal", "prior": 1.0},
    "ballester": {
        **defaults.COMPLETION,
        "context": 0.1,
        "gradient": 0.9,
        "prior": 0.5,
    },
}

# The nine rows of Vitoria, Sintes & Ballester 2019, table 1. Here all rows have one
# prior. Yeh's rows keep their published score loss log(1 - s(D)). Ballester's rows take
# the loss that the prior was trained with.
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
