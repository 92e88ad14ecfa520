"""Reading of files in processes of their own, for `ray`."""

import os
from pathlib import Path

import pyarrow as pa

from gan_jax.data.decode import BrokenImageError, read_file

# Imports neither JAX nor Ray, so that these processes start at once.


def read_contents(batch: pa.Table, folder: str) -> pa.Table:
    """Read files, or the reasons why they cannot be read.

    The column `input` has their paths, in bytes and relative to `folder`.

    Returns:
        The table with two more columns: `content`, and `reason` where `content` is
        null.
    """
    contents: list[bytes | None] = []
    reasons: list[str | None] = []
    for name in batch["input"].to_pylist():
        try:
            contents.append(read_file(Path(folder) / os.fsdecode(name)))
            reasons.append(None)
        except BrokenImageError as error:
            contents.append(None)
            reasons.append(str(error))
    return batch.append_column(
        "content", pa.array(contents, pa.large_binary())
    ).append_column("reason", pa.array(reasons, pa.string()))
