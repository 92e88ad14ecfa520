"""Memory: what is freed is used again, and data may be larger than there is."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.programs import ROOT, command

CELEBA = ROOT.parent / "shared" / "data" / "celeba_sample"
LIMIT = 2**31 + 2**29  # bytes that a process may ask for
SIZE, COPIES = 128, 34


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_memory_that_is_freed_is_used_again():
    """A page that is new costs a fault; of 64 MB there are 16,384."""
    text = """
import resource
import numpy as np
from gan_jax.runs.startup import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = [faults(), faults()]
keep_memory()
print(*plain, faults(), faults())
"""
    finished = subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    *plain, first, second = map(int, finished.stdout.split())
    # Huge pages, where the system gives them, make few faults of many.
    assert min(plain) > 10 and first > 10
    assert second < 0.1 * first


@pytest.mark.endurance
@pytest.mark.skipif(not CELEBA.is_dir(), reason="no shared data")
def test_streams_more_than_its_memory(tmp_path):
    """5 GB of images in a process that may have half as much: its memory is flat."""
    folder = tmp_path / "images"
    folder.mkdir()
    given = sorted(CELEBA.glob("*.jpg"))
    for turn in range(COPIES):
        for file in given:
            (folder / f"{turn}-{file.name}").symlink_to(file)
    assert len(given) * COPIES * SIZE * SIZE * 3 > LIMIT

    def start(workdir, *flags):
        return subprocess.Popen(
            command(
                workdir,
                f"--config.data.path={folder}",
                f"--config.data.size={SIZE}",
                "--config.steps=400",
                "--config.batch_size=64",
                "--config.evaluation.every=0",
                "--config.evaluation.classifier.epochs=0",
                "--config.sample_every=0",
                *flags,
                config="--config=configs/lsgan.py:smoke,photos",
            ),
            cwd=ROOT,
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT)),
        )

    resident = start(tmp_path / "resident", "--config.data.feed=resident")
    said, _ = resident.communicate(timeout=600)
    assert resident.returncode != 0, said

    process = start(tmp_path / "streamed", "--config.data.feed=streamed")
    seen = []
    while process.poll() is None:
        if (tmp_path / "streamed" / "checkpoints" / "50").is_dir():
            seen.append(_resident_bytes(process.pid))
        time.sleep(0.5)
    said = process.stdout.read()
    process.stdout.close()
    assert process.returncode == 0, said
    third = len(seen) // 3
    early, late = (max(part) for part in (seen[:third], seen[-third:]))
    print(f"{early / 1e6:.0f} MB, then {late / 1e6:.0f} MB")
    assert late < early + 100e6


def _resident_bytes(process):
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
