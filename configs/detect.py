"""HistoryAD: anomaly detection from the history of a GAN's training.

Paper:    Chatillon & Ballester 2019, arXiv 1912.11843.
Critic:   an autoencoder, whose energies bound a total variation by themselves (Zhao et
          al. 2016, arXiv 1609.03126; Arjovsky et al. 2017, arXiv 1701.07875, appendix
          D); `wasserstein` trains the paper's critic instead.
Protocol: standard (default): one class is left out of the training images, and to be
          found among the test images; holdout: 80% of the normal images of both parts
          train, the rest and all anomalies test; other: other data sets are to be
          found. --config.anomaly.label=3, --config.anomaly.others=cifar10:0.28,noise.
Data:     digits (default), photos, mnist, fashion_mnist, cifar10, svhn, celeba (TFDS,
          or --config.data.path), or your own folder of images.
Variants: the protocols, the data sets, wasserstein, narrow (short, for a CPU), smoke;
          joined by commas.
Use:      --config.prior=<workdir of such a run> --config.images=DIR scores your images.
Cost:     digits two minutes on two CPU cores, mnist,narrow four.

python -m gan_jax.main --config=configs/detect.py:standard,mnist,narrow --config.anomaly.label=3
python -m gan_jax.main --config=configs/detect.py --config.prior=runs/detect --config.images=DIR
"""  # noqa: E501

from gan_jax import config as configs
from gan_jax.variants import GENERATION, with_variants


def get_config(variant: str = ""):
    config = configs.detection("detect")
    config.objective = "ebgan"
    config.margin = 0.15
    config.network.critic = "dense_autoencoder"
    config.network.hidden = 512
    config.network.critic_depth = 4
    config.network.code = 8
    config.history.every = 1000
    config.anomaly.label = "0"
    config = with_variants(config, variant, "digits", GENERATION, VARIANTS)
    # The generator is a means here: no classifier is trained to judge it.
    config.evaluation.every = 0
    config.evaluation.final_count = 500
    config.evaluation.classifier.epochs = 0
    return config


_SHORT = {"steps": 1500, "history.every": 25}

# More is common to colour images, and they are reproduced more closely. An autoencoder
# that learns too slowly soon reproduces what is generated better than what is real.
_COLOUR = {
    "network.code": 100,
    "margin": 0.05,
    "detector.margin": 0.05,
    "critic_steps": 5,
}

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

VARIANTS = {
    **dict.fromkeys(("digits", "narrow"), _SHORT),
    **dict.fromkeys(("cifar10", "svhn", "celeba"), _COLOUR),
    "photos": {**_SHORT, **_COLOUR},
    "wasserstein": _WASSERSTEIN,
    "standard": {},
    "holdout": {"data.held_out": 0.2},
    "other": {"anomaly.label": "", "anomaly.others": "photos,noise"},
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
