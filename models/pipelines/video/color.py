"""Colors of videos: high dynamic range to standard, and what has no color."""
import cv2
import numpy as np

TRANSFERS = {16: 'PQ', 18: 'HLG'}  # FFmpeg's number -> name of the HDR transfer curves
_WHITE, _PEAK = 203.0, 1000.0  # cd/m2: HDR reference white (ITU-R BT.2408), and the usual peak of mastering displays
_PQ_PEAK = 10_000.0
_BRIGHTEST = 99.9  # percentile of a frame's light that counts as its brightest
_GAMMA = 2.4  # of the SDR display
_BT2020_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
_LUMA_2020 = np.array([[0.2627, 0.6780, 0.0593]], np.float32)
_STEPS = 4096  # of the lookup tables over light
_GRAY_RANGE = 12  # of 255: largest difference of the channels in a gray image, after chroma compression
_M1, _M2, _C1, _C2, _C3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875  # SMPTE ST 2084


def pq_encode(light: np.ndarray) -> np.ndarray:
    """cd/m2 -> PQ signal in [0,1] (SMPTE ST 2084, inverse EOTF)."""
    power = (np.maximum(light, 0) / _PQ_PEAK) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def pq_decode(signal: np.ndarray) -> np.ndarray:
    """PQ signal in [0,1] -> cd/m2 (SMPTE ST 2084, EOTF)."""
    power = np.clip(signal, 0, 1) ** (1 / _M2)
    return _PQ_PEAK * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def hlg_decode(signal: np.ndarray) -> np.ndarray:
    """HLG signal in [0,1] -> scene light in [0,1] (ITU-R BT.2100, inverse OETF)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal ** 2 / 3, (np.exp((signal - c) / a) + b) / 12)


def eetf(light: np.ndarray, peak: float) -> np.ndarray:
    """cd/m2 for a display of `peak` -> cd/m2 for one of _WHITE: equal up to a knee, then a Hermite spline in PQ (ITU-R BT.2390,
    section 5.4.1, without black level)."""
    source = pq_encode(np.float64(peak))
    signal, top = np.minimum(pq_encode(light) / source, 1), pq_encode(np.float64(_WHITE)) / source
    knee = 1.5 * top - 0.5
    t = np.maximum(signal - knee, 0) / (1 - knee)
    spline = (2 * t ** 3 - 3 * t ** 2 + 1) * knee + (t ** 3 - 2 * t ** 2 + t) * (1 - knee) + (3 * t ** 2 - 2 * t ** 3) * top
    return pq_decode(np.where(signal < knee, signal, spline) * source)


class ToneMap:
    """HDR of BT.2020 to SDR of BT.709 for a display of gamma 2.4 (ITU-R BT.1886), the same for all frames of a video.

    The largest channel of each pixel is mapped by `eetf` and the others keep their ratio to it; what BT.709 cannot show is
    clipped. HLG is shown on a display of _PEAK first (ITU-R BT.2100, OOTF of gamma 1.2). PQ is taken to be mastered for _PEAK, or
    for the brightest that the first frame shows.

    transfer: PQ or HLG; first: the first frame, (H,W,3) uint16 RGB.
    """

    def __init__(self, transfer: str, first: np.ndarray):
        codes, roots = np.arange(65536) / 65535, np.linspace(0, 1, _STEPS)
        self.transfer = transfer
        self.decoded = (pq_decode(codes) / _WHITE if transfer == 'PQ' else hlg_decode(codes)).astype(np.float32)
        peak = np.clip(np.percentile(self._light(first), _BRIGHTEST) * _WHITE, _PEAK, _PQ_PEAK)
        self.limit = np.float32(peak / _WHITE)
        light = np.maximum(roots ** 2 * peak, 1e-6)
        self.gains = (eetf(light, peak) / light).astype(np.float32)
        self.encoded = (roots ** (2 / _GAMMA) * 255).round().astype(np.uint8)

    def _light(self, image: np.ndarray) -> np.ndarray:
        """(H,W,3) uint16 RGB -> (H,W,3) float32, light in BT.709 with 1 at _WHITE."""
        light = self.decoded[image]
        if self.transfer == 'HLG':
            light *= (np.maximum(cv2.transform(light, _LUMA_2020), 1e-6) ** 0.2 * (_PEAK / _WHITE))[..., None]
        return np.maximum(cv2.transform(light, _BT2020_TO_BT709), 0)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(H,W,3) uint16 RGB -> (H,W,3) uint8 RGB."""
        light = self._light(image)
        light *= self.gains[_index(light.max(2) / self.limit)][..., None]
        return self.encoded[_index(light)]


def _index(light: np.ndarray) -> np.ndarray:
    """Of tables over the roots of light in [0,1]."""
    return (np.sqrt(np.minimum(light, 1)) * (_STEPS - 1)).round().astype(np.int32)


def is_gray(image: np.ndarray) -> bool:
    """Whether (H,W,3) uint8 RGB shows no color, apart from what compression leaves."""
    red, green, blue = np.moveaxis(image[::2, ::2], 2, 0)
    largest, smallest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    return int((largest - smallest).max()) <= _GRAY_RANGE


def gray(image: np.ndarray) -> np.ndarray:
    """(H,W,3) float32 RGB -> the same with its luma (BT.601) in each channel."""
    return np.repeat(cv2.cvtColor(np.ascontiguousarray(image, np.float32), cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
