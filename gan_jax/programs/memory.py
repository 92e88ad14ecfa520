"""How the process handles the memory that it frees."""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # malloc.h of glibc


def keep_memory() -> None:
    """Keep what is freed for what needs as much next, as a train step's every layer.

    The C library gives large pieces back to the system at once, and the next one is
    made of pages that are new, each of them cleared first: on two cores up to a fifth
    of a step. Where the library is not glibc nothing is changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
