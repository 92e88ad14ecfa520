"""The benchmark of the page, on a few strokes."""

import pytest

from launch.benchmark import page


@pytest.mark.slow
def test_every_row_of_the_page_is_measured(monkeypatch):
    monkeypatch.setattr(page, "_STROKES", 20)
    rows = {row.what: row.value for row in page.measured()}
    assert all(value > 0 for value in rows.values())
    for run in ("digits", "channels"):
        assert 1 <= rows[f"{run}, 20 strokes in 0.4 s, answered"] <= 20
    for words in ("start", "p50", "p95", "behind", "first picture", "updates"):
        assert any(words in what for what in rows)
