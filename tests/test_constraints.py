"""The comparison of the conditional generator with latent search, as it is run."""

import json
import sys

import pytest
from PIL import Image

from tests.programs import start
from tests.runs import kept, smoke


@pytest.mark.slow
def test_both_ways_answer_for_the_same_pixels(tmp_path):
    for name in ("pixelcgan", "gan"):
        kept(tmp_path / name, smoke(name))

    def compare(conditional, prior):
        return start(
            [
                *(sys.executable, "-m", "launch.benchmark.constraints"),
                f"--conditional={tmp_path / conditional}",
                f"--prior={tmp_path / prior}",
                *("--count=40", "--iterations=25", "--slots=16"),
                *(f"--json={tmp_path}/rows.json", f"--plot={tmp_path}/plate.png"),
            ]
        )

    finished = compare("pixelcgan", "gan")
    assert finished.returncode == 0, finished.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert len(rows) == 3 and "conditional" in rows[0]["name"]
    for row in rows:
        assert row["ms_per_image"] > 0 and 0 <= row["honoured"] <= 1
    assert rows[0]["ms_per_image"] < min(row["ms_per_image"] for row in rows[1:])
    with Image.open(tmp_path / "plate.png") as plate:
        assert min(plate.size) > 100
    refused = compare("gan", "pixelcgan")
    assert (
        refused.returncode == 2
        and "--conditional must be a pixelcgan" in refused.stderr
    )
