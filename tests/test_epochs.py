"""The evaluated epochs on the disk: which stay, and which of them is the best."""

import errno
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.apps.train.epochs import Epochs, epoch_row
from gan_jax.config.errors import InputError
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.state import Player, TrainState

CRITERION = ("fid", "pixel_mse")


def state(step):
    def variables(value):
        return {"params": {"w": jnp.full((3,), float(value))}}

    player = Player(variables(step)["params"], {}, jnp.zeros(2))
    return TrainState(
        step=jnp.int32(step),
        critic_step=jnp.int32(step),
        key=jax.random.key(0),
        generator=player,
        critic=player,
        average=variables(-step),
        weights={},
    )


class Course:
    """A run that is evaluated at steps 10, 20, ..."""

    def __init__(self, workdir):
        self.workdir = workdir
        self.rows = []

    def go(self, *pairs):
        with Epochs(self.workdir, CRITERION) as epochs:
            for fid, mse in pairs:
                step = 10 * (len(self.rows) + 1)
                measures = epoch_row({"fid": fid, "pixel_mse": mse, "classes": 3})
                self.rows.append({"step": step, **measures})
                epochs.keep(self.rows, state(step))
        return self.kept()

    def kept(self):
        return sorted(int(path.name) for path in (self.workdir / "epochs").iterdir())

    def best(self):
        said = []
        with Epochs(self.workdir, CRITERION) as epochs:
            found = epochs.best(self.rows, state(0), said.append)
        return found, said


@pytest.fixture
def course(tmp_path):
    return Course(tmp_path)


def test_dominated_epochs_leave_and_the_best_is_found(course):
    assert course.go((9.0, 0.9)) == [10]
    assert course.go((5.0, 0.5), (6.0, 0.3)) == [20, 30]
    assert course.go((7.0, 0.6)) == [20, 30]
    assert course.go((2.0, 0.8)) == [20, 30, 50]
    # Scaled by the extremes of all five epochs: 20 at .543, 30 at .571, 50 at .833.
    best, said = course.best()
    assert int(best.step) == 20 and not said
    for networks, value in ((best.generator, -20.0), (best.critic, 20.0)):
        np.testing.assert_array_equal(networks["params"]["w"], np.full(3, value))


def test_an_epoch_that_cannot_be_read_gives_way_to_the_next_best(course):
    course.go((5.0, 0.5), (6.0, 0.3), (2.0, 0.8))
    for path in (course.workdir / "epochs" / "10").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    best, said = course.best()
    assert int(best.step) == 20
    assert len(said) == 1 and "cannot be read" in said[0]


def test_an_epoch_that_was_removed_gives_way_to_the_next_best(course):
    course.go((5.0, 0.5), (6.0, 0.3))
    shutil.rmtree(course.workdir / "epochs" / "10")
    assert int(course.best()[0].step) == 20


def test_an_interrupted_run_keeps_the_same_epochs(course):
    pairs = [(9.0, 0.9), (5.0, 0.5), (6.0, 0.3), (4.0, 0.4)]
    assert course.go(*pairs) == [30, 40]
    # Killed after step 40, continued from the checkpoint of step 20, whose epoch is
    # gone already: the course repeats itself, so it will be dominated again.
    course.rows = course.rows[:2]
    course.go(pairs[2])
    assert course.go(pairs[3]) == [30, 40]


def test_a_measure_that_was_never_known_has_no_say(course):
    course.go((None, 0.5), (None, 0.3), (None, 0.4))
    assert course.kept() == [20]
    assert int(course.best()[0].step) == 20


def test_without_epochs_there_is_no_best(course):
    assert course.best() == (None, [])


def test_values_for_the_journal_are_numbers():
    found = epoch_row({"fid": 2, "collapsed": True, "kid": None, "fid_features": {}})
    assert found == {"validation/fid": 2.0, "validation/collapsed": 1.0}


def test_a_disk_without_room_for_a_state_is_left_alone(monkeypatch, tmp_path):
    usage = shutil.disk_usage(tmp_path)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state(1))
        checkpoints.wait()
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
        with pytest.raises(OSError, match="No space left on device"):
            checkpoints.save(2, state(2))
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_failing_machine_says_nothing_of_the_checkpoints(monkeypatch, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state(1))
        checkpoints.wait()

        def fail(*_, **__):
            raise failure

        for failure in (
            OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
            MemoryError(),
            jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory"),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(checkpoints._manager, "restore", fail)
                with pytest.raises(type(failure)):
                    checkpoints.restore(state(0))
        assert int(checkpoints.restore(state(0)).step) == 1
    assert not (tmp_path.parent / "unreadable").exists()


def test_where_no_checkpoint_can_be_read_none_is_lost(tmp_path):
    folder = tmp_path / "checkpoints"
    with Checkpoints(folder) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, state(step))
        checkpoints.wait()
        for file in folder.rglob("*"):
            if file.is_file():
                os.truncate(file, file.stat().st_size // 2)
        with pytest.raises(InputError, match=r"no checkpoint in .* can be read"):
            checkpoints.restore(state(0))
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"]


def test_a_measure_that_was_never_computed_has_no_say(tmp_path):
    with Epochs(tmp_path, CRITERION) as epochs:
        rows = [{"step": 1, **epoch_row({"fid": None, "pixel_mse": 0.1})}]
        assert epochs.criterion(rows) == ["pixel_mse"]
        assert epochs.criterion([]) == []
