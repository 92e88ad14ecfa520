"""Detect anomalies with a critic trained on the history of a GAN (HistoryAD).

Paper:    Chatillon & Ballester 2019, arXiv 1912.11843. The variant `published` follows
          the paper in all that it states. The defaults differ.
Prior:    none. To score a folder of images: --config.prior=WORKDIR of such a run and
          --config.images=DIR.
Data:     digits (no download), or your own: --config.data.path=PATH (a TFDS directory,
          a folder of images, or arrays). In a tree like MVTec AD's, or in folders such
          as good and NG, the good images are normal and all others are anomalies.
          Variants choose photos, channels, mnist, fashion_mnist, cifar10, svhn or
          celeba.
Variants: the protocols standard (default), holdout and other; the data sets; published
          and wasserstein (the paper's critic); narrow (short runs for a CPU); smoke.
          adam, momentum or exact chooses how the baseline searches latents
          (--config.baselines.searched), as in configs/inpaint.py.
Protocol: standard leaves one class out of the training images and looks for it among
          the test images (--config.anomaly.label=3). holdout trains on 80% of the
          normal images of both parts and tests on the rest and all anomalies. other
          looks for other data sets (--config.anomaly.others=cifar10:0.28,noise).
Critic:   by default the autoencoder of an EBGAN, whose energies bound a total variation
          (Zhao et al. 2016, arXiv 1609.03126; Arjovsky et al. 2017, arXiv 1701.07875,
          appendix D). For colour data, a linear autoencoder that starts at 200
          principal components and learns little beyond them. `published`: a Wasserstein
          critic with gradient penalty. The detector starts as the weighted mean of all
          critics saved from the first epoch on, with scores as they are; only the bound
          term brings them into [-1, 1]. `wasserstein`: the same, with scores first
          scaled into [-1, 1] by a fixed factor.
Density:  t is drawn from c exp(-beta t) on [alpha, 1] of the run, with beta 1 and alpha
          0.3; lambda_b is 10. The paper does not give these values.
Cost:     digits: two minutes on two CPU cores; mnist,narrow: four.
Expected: mnist,narrow, each digit left out in turn: mean AUPRC 0.488, AUROC 0.87, at a
          base rate of 0.100.

python -m gan_jax.main --config=configs/detect.py:standard,mnist,narrow --config.anomaly.label=3 --workdir=runs/detect
python -m gan_jax.main --config=configs/detect.py --config.prior=runs/detect --config.images=DIR --workdir=runs/scored
"""  # noqa: E501

from gan_jax.config import defaults
from gan_jax.config.variants import IMAGES, SEARCHES, with_variants


def get_config(variant: str = ""):
    config = defaults.detection("detect")
    config.objective = "ebgan"
    config.margin = 0.15
    config.network.critic = "dense_autoencoder"
    config.network.hidden = 512
    config.network.critic_depth = 4
    config.network.code = 8
    config.history.every = 1000
    config.anomaly.label = "0"
    config = with_variants(config, variant, "digits", IMAGES, SEARCHES, VARIANTS)
    # The generator is only a means here, so no classifier is trained to measure it.
    config.evaluation.every = 0
    config.evaluation.final_count = 500
    config.evaluation.classifier.epochs = 0
    return config


_SHORT = {"steps": 1500, "history.every": 25}

# The GAN of the paper.
_WASSERSTEIN = {
    "objective": "wgan",
    "critic_steps": 5,
    "gradient_penalty": 10.0,
    "network.critic": "dcgan",
    "network.critic_depth": 0,
    "network.critic_normalisation": "layer",
    "latent.size": 128,
    "optimizer.beta2": 0.9,
}

# An autoencoder learns low energies for anything smooth. On colour images a generator
# exploits this and both collapse. So the GAN of colour images is the paper's. The
# detector is not: it is a linear autoencoder that starts at principal components, and
# finds anomalies as well as the components alone do.
_COLOUR = {
    **_WASSERSTEIN,
    "optimizer.beta1": 0.0,
    "network.code": 200,
    "detector.critic": "linear_autoencoder",
    "detector.start": "components",
    "detector.margin": 0.005,
    "detector.learning_rate": 1e-4,
    "detector.steps": 1000,
}

# D_TV starts from the saved critics, with the detector's own defaults; the changes for
# colour sets above are for an autoencoder.
_SAVED = {
    **_WASSERSTEIN,
    "detector.critic": "",
    "detector.start": "mean",
    "detector.learning_rate": 5e-4,
    "detector.steps": 3000,
}

# For data without labels: no class is left out.
_UNLABELLED = {"anomaly.label": "", "anomaly.others": "noise"}

VARIANTS = {
    **dict.fromkeys(("digits", "narrow"), _SHORT),
    **dict.fromkeys(("cifar10", "svhn"), _COLOUR),
    "celeba": {**_COLOUR, **_UNLABELLED},
    "photos": {**_SHORT, **_COLOUR, **_UNLABELLED},
    "wasserstein": _SAVED,
    "published": {**_SAVED, "detector.rescale": False},
    "standard": {},
    "holdout": {"data.held_out": 0.2},
    "other": _UNLABELLED,
    "smoke,wasserstein": {"detector.steps": 60},
    "smoke,published": {"detector.steps": 60},
    "smoke": {
        "network.hidden": 64,
        "history.every": 10,
        "detector.steps": 60,
        "detector.every": 20,
        "baselines.searched": 20,
        "search.iterations": 20,
        "search.restarts": 1,
    },
}
