"""The brake: stops consuming when too many of the last events would become dead letters.

That many are our bug or a changed catalog, not somebody's bad data; the events stay in the queue until a person looks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from service.errors import BrakePulled


class Brake:
    """Looks back over a window of events."""

    def __init__(self, window: int, failures: int) -> None:
        self._failures = failures
        self._window: deque[bool] = deque(maxlen=window)

    def check(self, failed: Sequence[bool]) -> deque[bool]:
        """The window as it would be after these events, in their order.

        Raises:
            BrakePulled: at some event more than the allowed number of the window have failed; nothing is remembered.
        """
        window = self._window.copy()
        for failure in failed:
            window.append(failure)
            # Only a failure can raise the number, so the sum is taken only then.
            if failure and sum(window) > self._failures:
                raise BrakePulled(failed=sum(window), seen=len(window))
        return window

    def keep(self, window: deque[bool]) -> None:
        """The events of `check` were committed."""
        self._window = window

    def release(self) -> None:
        """A person lifted the brake: the window starts anew."""
        self._window.clear()
