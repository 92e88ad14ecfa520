"""What batch jobs leave."""

from pathlib import Path

import pyarrow.parquet as pq

from gan_jax.config.errors import printable
from tests.programs import results, run_batch


def parts(out):
    """List the files of rows that a job has written."""
    return [*(out / "results").glob("part-*.parquet")]


def rows(out):
    """Read all rows, by the name of the input; each is there once."""
    found = _by_path(out).values()
    by_name = {Path(row["input"]).name: row for row in found}
    assert len(by_name) == len(found)
    return by_name


def _by_path(out):
    """Read all rows, by the path of the input; each is there once."""
    found = [
        row for path in sorted(parts(out)) for row in pq.read_table(path).to_pylist()
    ]
    by_path = {row["input"]: row for row in found}
    assert len(by_path) == len(found)
    return by_path


def assert_a_batch_job_does_the_same(run, out, *flags):
    """Do as a job what a run of the program has done."""
    finished = run_batch(None, out, *flags)
    assert finished.returncode == 0, finished.stderr
    found = _by_path(out)
    assert len(found) == len(results(run))
    for line in results(run):
        row = found[printable(line["input"])]
        escaped = {
            key: printable(value) if isinstance(value, str) else value
            for key, value in line.items()
        }
        assert {key: row[key] for key in line} == escaped
        if line["done"]:
            one, two = ((each / line["output"]).read_bytes() for each in (run, out))
            assert one == two
