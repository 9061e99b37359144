"""The first thing in a judge's process: it begins the warm parent of its candidates, and imports what judges meanwhile.

Both import for seconds. So nothing is imported here that imports PyTorch.
"""

from __future__ import annotations

import gc
import pickle
import signal
import sys

from harness.engine.cores import this_thread_on
from harness.sandbox.parent import WarmParent


def main() -> None:
    """Read the warm parent, and the processor cores that it stays on; then go on in `harness.engine.judging`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks
    parent: WarmParent
    cores: frozenset[int]
    parent, cores = pickle.load(sys.stdin.buffer)
    with this_thread_on(cores):
        parent.begin()
    gc.disable()  # what is imported stays: looking for garbage among it meanwhile only takes time
    from harness.engine import judging

    gc.freeze()
    gc.enable()
    judging.main(parent)
