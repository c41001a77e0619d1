"""How this process gets memory from the kernel, where the C library lets one say."""

from __future__ import annotations

import ctypes

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # <malloc.h>
_KEPT_BYTES = 128 << 20
_HEAP_BYTES = 32 << 20  # the most that glibc's own adaptation ever reaches


def keep_freed_memory() -> None:
    """Let glibc keep up to 128 MiB that was freed, and serve blocks up to 32 MiB from that.

    By default, whether a layer's activations are handed back to the kernel after each layer, and faulted in page
    by page for the next, depends on what the process happened to allocate before: 0 or 1,300 page faults a
    passage were seen, and encoding 14 % slower. Other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _HEAP_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
