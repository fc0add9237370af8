"""Stubs of the functions of the CUDA runtime and driver that PyTorch calls to list devices and streams."""
import ctypes
import subprocess
import tempfile
from pathlib import Path

_SOURCE = """
int cudaGetDeviceCount(int *count) { *count = 1; return 0; }
int cudaGetDevice(int *device) { *device = 0; return 0; }
int cudaSetDevice(int device) { return 0; }
int cudaDeviceGetStreamPriorityRange(int *least, int *greatest) { *least = *greatest = 0; return 0; }
int cudaStreamIsCapturing(void *stream, int *status) { *status = 0; return 0; }
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) { *flags = *active = 0; return 0; }
"""


def load_stubs() -> None:
    """Compile and load the stubs. Call it before importing PyTorch, since the first global symbols take precedence.

    Raises:
        OSError, subprocess.CalledProcessError: where there is no C compiler.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, 'stubs.c'), Path(folder, 'libcuda.so.1')
        source.write_text(_SOURCE)
        subprocess.run(['cc', '-shared', '-fPIC', '-Wl,-soname,libcuda.so.1', '-o', library, source], check=True,
                       capture_output=True)
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
