"""Files read in other processes than those that need them."""

import os
from pathlib import Path

import pyarrow as pa

from gan_jax.data.decode import BrokenImageError, content

# Imports neither JAX nor Ray: what reads files starts at once.


def read_contents(batch: pa.Table, folder: str) -> pa.Table:
    """Read files, with the reasons why some cannot be read.

    Args:
        batch: names them in its column `input`, in bytes.
        folder: in which they lie, where their names are no whole paths.

    Returns:
        The batch with two more columns: `content`, and `reason` where it is null.
    """
    contents: list[bytes | None] = []
    reasons: list[str | None] = []
    for name in batch["input"].to_pylist():
        try:
            contents.append(content(Path(folder) / os.fsdecode(name)))
            reasons.append(None)
        except BrokenImageError as error:
            contents.append(None)
            reasons.append(str(error))
    return batch.append_column(
        "content", pa.array(contents, pa.large_binary())
    ).append_column("reason", pa.array(reasons, pa.string()))
