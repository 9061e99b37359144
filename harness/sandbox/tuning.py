"""Compiles the configurations that an autotuner is about to try side by side, not one when the other has been timed.

For references of script tasks, which may have a hundred of them. What the autotuner then does is the same: it finds
each one compiled. One that can't be compiled is left for it to find out.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def compile_side_by_side(threads: int) -> None:
    """From here on, in this process; `threads` compilers at once. A Triton that can't do so compiles as ever."""
    try:
        from triton.runtime._async_compile import AsyncCompileMode, active_mode
        from triton.runtime.autotuner import Autotuner
    except ImportError:
        return
    prune = Autotuner.prune_configs

    def prune_configs(self: Any, kwargs: dict[str, Any]) -> Any:
        configs = prune(self, kwargs)
        if len(configs) < 2:
            return configs
        try:
            with ThreadPoolExecutor(threads) as pool, AsyncCompileMode(pool, ignore_errors=True):
                for config in configs:
                    with contextlib.suppress(Exception):
                        self.fn.run(*self.nargs.values(), **{**kwargs, **config.all_kwargs(), "warmup": True})
        except Exception:
            active_mode.set(None)
        return configs

    Autotuner.prune_configs = prune_configs
