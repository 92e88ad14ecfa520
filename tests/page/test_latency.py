"""The benchmark of the page, on a few strokes and a small prior."""

import pytest
from websockets.sync.client import connect

from gan_jax.apps.serve.models.completion import Completer
from gan_jax.apps.serve.models.generation import open_generation
from gan_jax.apps.serve.run import answers
from launch.benchmark import page
from tests.page.serving import serving
from tests.runs import kept, smoke


@pytest.mark.slow
def test_strokes_and_completions_are_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "_STROKES", 20)
    monkeypatch.setattr(page, "_SEARCHES", 1)
    narrow = dict.fromkeys(("network.width", "network.critic_width"), 4)
    config = smoke("gan", **narrow, **{"latent.size": 8})
    models = {
        "digits": open_generation("digits", "digits"),
        "small": Completer("small", kept(tmp_path / "small", config)).model(),
    }
    with (
        serving(answers(models), models) as (address, _),
        connect(f"{address.url.replace('http', 'ws')}socket") as socket,
    ):
        client = page.Client(socket)
        assert {*client.runs} == {"digits", "small"}
        rows = [*page.strokes(client, "digits"), *page.completion(client, "small")]
    assert all(row.value > 0 for row in rows)
    found = {row.what.rpartition(", ")[2]: row.value for row in rows}
    assert found["p50"] <= found["p95"]
    assert 1 <= found["answered"] <= 20
    assert {"behind", "first picture", "updates", "until done"} <= {*found}


@pytest.mark.slow
def test_the_server_is_started_and_ended():
    with page.served() as (url, seconds):
        assert url.startswith("http://127.0.0.1:") and seconds > 0
    assert page._processor_seconds() > 0
