"""Peak memory of a block of code."""
import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch

_STATUS, _CLEAR_REFS = Path('/proc/self/status'), Path('/proc/self/clear_refs')
_RESET_PEAK = '5'  # proc(5): resets the peak resident set size


class PeakMemory:
    """Context that measures a peak of memory in bytes.

    bytes: on CUDA the peak of all tensors on the device; on the CPU the growth of the resident set size of this process to its
    peak, loader processes excluded. On systems other than Linux, which cannot reset the peak, growth below an earlier peak is
    not measured.
    """

    def __init__(self, device: torch.device):
        self.device, self.bytes, self._before = device, 0, 0

    def __enter__(self) -> 'PeakMemory':
        if self.device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(self.device)
            return self
        with suppress(OSError):
            _CLEAR_REFS.write_text(_RESET_PEAK)
        self._before = _peak_rss()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.device.type == 'cuda':
            self.bytes = torch.cuda.max_memory_allocated(self.device)
        else:
            self.bytes = _peak_rss() - self._before


def _peak_rss() -> int:
    """Peak resident set size of this process in bytes."""
    if _STATUS.is_file():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith('VmHWM:'))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024
