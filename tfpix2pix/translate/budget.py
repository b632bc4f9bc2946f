"""How many pixels may be in memory at the same time, however many threads there are."""

import contextlib
import threading
from collections.abc import Iterator

# A translation takes up to about 100 bytes for each pixel of its image, so these take 3 GB.
MOST_PIXELS = 2**25


class PixelBudget:
    """Lets threads wait until there is room for their images.

    Args:
      most: number of pixels of all images at the same time; one that has more by itself goes alone.
    """

    def __init__(self, most: int):
        self._most, self._held, self._changed = most, 0, threading.Condition()

    @contextlib.contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Waits for room for so many pixels, which are held until the `with` block ends."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + pixels <= self._most)
            self._held += pixels
        try:
            yield
        finally:
            with self._changed:
                self._held -= pixels
                self._changed.notify_all()
