"""Several settings of one loss in one run: the arms, and what is refused."""

import importlib

import pytest

from gan_jax.config.checks import check_numbers
from gan_jax.config.errors import InputError
from gan_jax.config.sweeps import arm_name, losses_of


def inpaint(variant="", **sweep):
    config = importlib.import_module("configs.inpaint").get_config(variant)
    config.sweep.update(sweep)
    return config


def weights(loss):
    own = loss.settings
    return own.context, own.gradient, own.prior


def test_a_loss_is_compared_with_each_of_its_settings():
    config = inpaint(
        "yeh,ballester", loss="ballester", key="gradient,prior", over="0.5:1,0:1e-05"
    )
    found = losses_of(config)
    assert list(found) == ["ballester_0.5_1", "ballester_0_1e-05", "yeh"]
    assert [weights(loss) for loss in found.values()] == [
        (0.1, 0.5, 1.0),
        (0.1, 0.0, 1e-5),
        (1.0, 0.0, 0.003),
    ]
    assert {loss.key for loss in found.values()} == {"losses.yeh", "losses.ballester"}
    assert config.losses.ballester.gradient == 0.9


def test_one_key_is_swept_as_in_a_study():
    found = losses_of(inpaint(loss="ballester", key="gradient", over="0,0.3,0.9"))
    assert list(found) == ["ballester_0", "ballester_0.3", "ballester_0.9"]
    assert [loss.settings.gradient for loss in found.values()] == [0, 0.3, 0.9]
    assert list(losses_of(inpaint())) == ["ballester"]


def test_the_published_table_is_one_command():
    """Vitoria, Sintes & Ballester 2019: Yeh's loss, and eight with gradients."""
    config = inpaint("vitoria")
    check_numbers(config)
    found = losses_of(config)
    settings = [(0.1, 0.9, 1), (0.5, 0.5, 1), (0.1, 0.9, 0.5), (0.5, 0.5, 0.5)]
    wanted = {"yeh_saturating": (1, 0, 0.003)}
    for name in ("yeh_gradient", "ballester"):
        wanted |= {arm_name(name, *map(float, each)): each for each in settings}
    assert {name: weights(loss) for name, loss in found.items()} == wanted
    assert len(found) == 9 and "ballester_0.1_0.9_0.5" in found
    forms = {name: loss.settings.unlikely for name, loss in found.items()}
    assert {forms[name] for name in found if "yeh" in name} == {"saturating"}
    assert {forms[name] for name in found if "yeh" not in name} == {"trained"}
    whole = [tuple(loss.settings.to_dict().values()) for loss in found.values()]
    assert len(set(whole)) == 9


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        ({"over": "1,2"}, "^sweep.loss is empty: .*ballester.*--config.sweep.loss"),
        ({"loss": "balester"}, "'balester' is unknown .did you mean ballester"),
        ({"loss": "cooper"}, "sweep.loss: 'cooper' is unknown; known: ballester"),
        ({"loss": "ballester,ballester"}, "'ballester' is named twice"),
        ({"key": ""}, "^sweep.key is empty: .*context, gradient, prior"),
        ({"key": "gradeint"}, "did you mean gradient"),
        ({"key": "composite"}, "sweep.key: 'composite' is unknown"),
        ({"key": "gradient,gradient", "over": "1:1"}, "'gradient' is named twice"),
        ({"over": ""}, "^sweep.over is empty: give values of gradient"),
        ({"over": "1,much"}, "sweep.over: 'much' is not a number"),
        ({"over": "0.5,0.1:0.9"}, "'0.1:0.9' has 2 numbers for the 1 keys gradient"),
        ({"over": "-1"}, "sweep.over: gradient is -1 in '-1': give a number at least"),
        ({"over": "nan"}, "gradient is nan"),
        ({"over": "0.5,.50"}, "the setting '.50' is given twice"),
        ({"key": "gradient,prior", "over": "1:"}, "'' is not a number"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_in_one_line(sweep, says):
    whole = {"loss": "ballester", "key": "gradient", "over": "0.5"}
    if "over" in sweep and says.startswith("^sweep.loss"):
        whole = {}
    with pytest.raises(InputError, match=says) as refused:
        losses_of(inpaint(**whole | sweep))
    assert "\n" not in str(refused.value)
