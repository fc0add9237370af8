"""Conversion of high dynamic range video to standard dynamic range."""
import cv2
import numpy as np

TRANSFERS = {16: 'PQ', 18: 'HLG'}  # FFmpeg's number -> name of the HDR transfer curves
_WHITE_NITS, _PEAK_NITS = 203.0, 1000.0  # cd/m2: HDR reference white (ITU-R BT.2408); usual peak of mastering displays
_PQ_PEAK_NITS = 10_000.0
_PEAK_PERCENTILE = 99.9  # of a frame's light, taken as its peak
_SDR_GAMMA = 2.4  # of the display (ITU-R BT.1886)
_BT2020_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
_LUMA_2020 = np.array([[0.2627, 0.6780, 0.0593]], np.float32)
_TABLE_SIZE = 4096  # entries of the lookup tables over light
_M1, _M2, _C1, _C2, _C3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875  # SMPTE ST 2084


def pq_encode(light: np.ndarray) -> np.ndarray:
    """cd/m2 -> PQ signal in [0,1] (SMPTE ST 2084, inverse EOTF)."""
    power = (np.maximum(light, 0) / _PQ_PEAK_NITS) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def pq_decode(signal: np.ndarray) -> np.ndarray:
    """PQ signal in [0,1] -> cd/m2 (SMPTE ST 2084, EOTF)."""
    power = np.clip(signal, 0, 1) ** (1 / _M2)
    return _PQ_PEAK_NITS * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def hlg_decode(signal: np.ndarray) -> np.ndarray:
    """HLG signal in [0,1] -> scene light in [0,1] (ITU-R BT.2100, inverse OETF)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal ** 2 / 3, (np.exp((signal - c) / a) + b) / 12)


def eetf(light: np.ndarray, peak: float) -> np.ndarray:
    """Map light in cd/m2 from a display of `peak` to one of the reference white: identity up to a knee, then a Hermite spline in
    PQ (ITU-R BT.2390, section 5.4.1, without black level)."""
    source = pq_encode(np.asarray(peak, np.float64))
    signal, top = np.minimum(pq_encode(light) / source, 1), pq_encode(np.asarray(_WHITE_NITS, np.float64)) / source
    knee = 1.5 * top - 0.5
    t = np.maximum(signal - knee, 0) / (1 - knee)
    spline = (2 * t ** 3 - 3 * t ** 2 + 1) * knee + (t ** 3 - 2 * t ** 2 + t) * (1 - knee) + (3 * t ** 2 - 2 * t ** 3) * top
    return pq_decode(np.where(signal < knee, signal, spline) * source)


class ToneMap:
    """Tone mapping of BT.2020 HDR to BT.709 SDR, the same for all frames of a video.

    The largest channel of each pixel is mapped by `eetf` and the ratios of the channels are kept; colors outside BT.709 are
    clipped. HLG is first rendered for a display of 1000 cd/m2 (ITU-R BT.2100, OOTF of gamma 1.2). PQ is assumed to be mastered
    for 1000 cd/m2, or for the peak of the first frame if that is higher.

    Args:
        transfer: 'PQ' or 'HLG'.
        first: the first frame, (H,W,3) uint16 RGB.
    """

    def __init__(self, transfer: str, first: np.ndarray):
        codes, roots = np.arange(65536) / 65535, np.linspace(0, 1, _TABLE_SIZE)
        self.transfer = transfer
        self.decoded = (pq_decode(codes) / _WHITE_NITS if transfer == 'PQ' else hlg_decode(codes)).astype(np.float32)
        peak = np.clip(np.percentile(self._light(first), _PEAK_PERCENTILE) * _WHITE_NITS, _PEAK_NITS, _PQ_PEAK_NITS)
        self.limit = np.float32(peak / _WHITE_NITS)
        light = np.maximum(roots ** 2 * peak, 1e-6)
        self.gains = (eetf(light, peak) / light).astype(np.float32)
        self.encoded = (roots ** (2 / _SDR_GAMMA) * 255).round().astype(np.uint8)

    def _light(self, image: np.ndarray) -> np.ndarray:
        """(H,W,3) uint16 RGB -> (H,W,3) float32, BT.709 light in units of the reference white."""
        light = self.decoded[image]
        if self.transfer == 'HLG':
            light *= (np.maximum(cv2.transform(light, _LUMA_2020), 1e-6) ** 0.2 * (_PEAK_NITS / _WHITE_NITS))[..., None]
        return np.maximum(cv2.transform(light, _BT2020_TO_BT709), 0)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(H,W,3) uint16 RGB -> (H,W,3) uint8 RGB."""
        light = self._light(image)
        light *= self.gains[_table_index(light.max(2) / self.limit)][..., None]
        return self.encoded[_table_index(light)]


def _table_index(light: np.ndarray) -> np.ndarray:
    """Index of light in [0,1] in tables over its square root."""
    return (np.sqrt(np.minimum(light, 1)) * (_TABLE_SIZE - 1)).round().astype(np.int32)
