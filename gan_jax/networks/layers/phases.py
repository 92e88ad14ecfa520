"""The phases of a transposed convolution: pixels at one position of all blocks.

The output consists of blocks of stride x stride pixels.
"""

import math
from typing import NamedTuple


class Axis(NamedTuple):
    """One axis of a transposed convolution: the geometry of its phases."""

    size: int
    """Pixels of the image."""
    taps: int
    """Taps of the kernel."""
    stride: int
    """Stride, and pixels of a block of the output."""
    low: int
    """Padding of the dilated image before its first pixel."""
    high: int
    """Padding of the dilated image after its last pixel."""

    @property
    def length(self) -> int:
        """Pixels of the output."""
        return (self.size - 1) * self.stride + 2 + self.low + self.high - self.taps

    @property
    def blocks(self) -> int:
        """Blocks of `stride` pixels of the output; the last one may be cut."""
        return math.ceil(self.length / self.stride)

    @property
    def front(self) -> int:
        """Zeros before the kernel, so that a block's last pixel has its first tap."""
        return self.stride - 1 - self.low % self.stride

    @property
    def window(self) -> int:
        """Pixels of the image on which a block of the output depends."""
        return math.ceil((self.front + self.taps) / self.stride)

    @property
    def pads(self) -> tuple[int, int]:
        """Padding of the image for windows of all blocks."""
        return self._pads(-(self.low // self.stride), self.window)

    def phase(self, pixel: int) -> tuple[int, tuple[int, int]]:
        """Return the first tap of the kernel for a block's pixel, and the padding."""
        tap = (self.low - pixel) % self.stride
        count = math.ceil((self.taps - tap) / self.stride)
        return tap, self._pads((pixel - self.low + tap) // self.stride, count)

    def _pads(self, start: int, count: int) -> tuple[int, int]:
        return -start, self.blocks - 1 + start + count - self.size
