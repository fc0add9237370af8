"""MTCNN (Zhang et al. 2016, arXiv:1604.02878): its three networks and their cascade.

Architectures, weights and constants are those of facenet-pytorch 2.5.3 (MIT License). Only its weights are read; importing the
package loads torchvision, which takes 165 MB of memory.
"""
import importlib.util
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

PYRAMID_FACTOR = 0.709  # scale from one level of the image pyramid to the next
CELL_PX, STRIDE_PX = 12, 2  # pixels of the first network's window, and from one window to the next
SCALE_OVERLAP, STAGE_OVERLAP = 0.5, 0.7  # largest overlap of boxes of one scale, and of one stage
BATCH_SIZE = 512  # crops per batch


class PNet(nn.Module):
    """(B,3,H,W) -> corrections (B,4,h,w) and probabilities (B,2,h,w) of windows of CELL_PX pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 2, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_2(x), self.conv4_1(x).softmax(1)


class RNet(nn.Module):
    """(B,3,24,24) -> corrections (B,4) and probabilities (B,2)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(x))  # (B,64,3,3)
        x = self.prelu4(self.dense4(rearrange(x, 'b c h w -> b (w h c)')))  # (B,128)
        return self.dense5_2(x), self.dense5_1(x).softmax(1)


class ONet(nn.Module):
    """(B,3,48,48) -> corrections (B,4), landmarks (B,10), x before y, in fractions of the box, and probabilities (B,2)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2, self.dense6_3 = nn.Linear(256, 2), nn.Linear(256, 4), nn.Linear(256, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu3(self.conv3(x)), 2, 2, ceil_mode=True)
        x = self.prelu4(self.conv4(x))  # (B,128,3,3)
        x = self.prelu5(self.dense5(rearrange(x, 'b c h w -> b (w h c)')))  # (B,256)
        return self.dense6_2(x), self.dense6_3(x), self.dense6_1(x).softmax(1)


def mtcnn_network(network: type[nn.Module]) -> nn.Module:
    """PNet, RNet or ONet with the weights of the package facenet-pytorch, frozen."""
    package = importlib.util.find_spec('facenet_pytorch')
    if package is None or package.origin is None:
        raise ModuleNotFoundError('the package facenet-pytorch, which contains the weights of MTCNN, is not installed')
    file, module = Path(package.origin).parent / f'data/{network.__name__.lower()}.pt', network()
    module.load_state_dict(torch.load(file, map_location='cpu', weights_only=True))
    return module.eval().requires_grad_(False)


@torch.no_grad()
def detect(image: np.ndarray, networks: list[nn.Module], thresholds: tuple[float, float, float], min_face_px: int,
           device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,3) uint8 RGB -> boxes with scores (N,5) and landmarks (N,5,2). networks: PNet, RNet, ONet; thresholds:
    their minimum probabilities of a face; min_face_px: side in pixels of the smallest detected face."""
    pnet, rnet, onet = networks
    pixels = torch.as_tensor(np.ascontiguousarray(image), device=device)[None].permute(0, 3, 1, 2).float()  # (1,3,H,W)
    boxes = _proposals(pixels, pnet, thresholds[0], min_face_px)
    if len(boxes):
        boxes, (shifts, scores) = _evaluated(pixels, boxes, rnet, 24)
        passed = scores[:, 1] > thresholds[1]
        boxes, shifts = torch.cat([boxes[passed, :4], scores[passed, 1:]], 1), shifts[passed]
        kept = _suppressed(boxes, STAGE_OVERLAP)
        boxes = _squared(_corrected(boxes[kept], shifts[kept]))
    if not len(boxes):
        return np.zeros((0, 5), np.float32), np.zeros((0, 5, 2), np.float32)
    boxes, (shifts, points, scores) = _evaluated(pixels, boxes, onet, 48)
    passed = scores[:, 1] > thresholds[2]
    boxes, points, shifts = torch.cat([boxes[passed, :4], scores[passed, 1:]], 1), points[passed], shifts[passed]
    sides = boxes[:, 2:4] - boxes[:, :2] + 1
    points = torch.stack([sides[:, :1] * points[:, :5] + boxes[:, :1] - 1, sides[:, 1:] * points[:, 5:] + boxes[:, 1:2] - 1], 2)
    corrected = _corrected(boxes, shifts).cpu().numpy()
    rows = _suppressed_by_smaller(corrected, STAGE_OVERLAP)
    return corrected[rows], points.cpu().numpy()[rows]


def _proposals(pixels: Tensor, pnet: nn.Module, threshold: float, min_face_px: int) -> Tensor:
    """Square boxes with scores (N,5) that the first network proposes in the image pyramid."""
    height, width = pixels.shape[2:]
    scale, proposals = CELL_PX / min_face_px, []
    shorter = min(height, width) * scale
    while shorter >= CELL_PX:
        shifts, scores = pnet(_normalized(_resized(pixels, int(height * scale + 1), int(width * scale + 1))))
        is_face = scores[0, 1] >= threshold  # (h,w)
        corners = is_face.nonzero().float().flip(1)
        rows = torch.cat([((STRIDE_PX * corners + 1) / scale).floor(), ((STRIDE_PX * corners + CELL_PX) / scale).floor(),
                          scores[0, 1][is_face][:, None], shifts[0][:, is_face].T], 1)  # (n,9)
        proposals.append(rows[_suppressed(rows, SCALE_OVERLAP)])
        scale, shorter = scale * PYRAMID_FACTOR, shorter * PYRAMID_FACTOR
    if not proposals:
        return pixels.new_zeros(0, 5)
    boxes = torch.cat(proposals)
    boxes = boxes[_suppressed(boxes, STAGE_OVERLAP)]
    sides = (boxes[:, 2:4] - boxes[:, :2]).repeat(1, 2)
    return _squared(torch.cat([boxes[:, :4] + boxes[:, 5:] * sides, boxes[:, 4:5]], 1))


def _evaluated(pixels: Tensor, boxes: Tensor, network: nn.Module, side: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The boxes (N,5) that overlap the image, and the outputs of the network for their crops."""
    height, width = pixels.shape[2:]
    x0, y0, x1, y1 = boxes[:, :4].trunc().int().cpu().numpy().T
    x0, y0, x1, y1 = x0.clip(1), y0.clip(1), x1.clip(max=width), y1.clip(max=height)
    inside = np.flatnonzero((y1 > y0 - 1) & (x1 > x0 - 1))
    if not len(inside):
        return boxes[:0], tuple(out[:0] for out in network(pixels.new_zeros(1, 3, side, side)))
    crops = torch.cat([_resized(pixels[0, :, y0[k] - 1:y1[k], x0[k] - 1:x1[k]][None], side, side) for k in inside])
    batches = [network(batch) for batch in _normalized(crops).split(BATCH_SIZE)]
    return boxes[torch.as_tensor(inside, device=boxes.device)], tuple(map(torch.cat, zip(*batches)))


def _resized(pixels: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(pixels, (height, width), mode='area')


def _normalized(pixels: Tensor) -> Tensor:
    return (pixels - 127.5) * 0.0078125


def _corrected(boxes: Tensor, shifts: Tensor) -> Tensor:
    """(N,5) with corrections (N,4) in fractions of the sides."""
    sides = (boxes[:, 2:4] - boxes[:, :2] + 1).repeat(1, 2)
    return torch.cat([boxes[:, :4] + shifts * sides, boxes[:, 4:]], 1)


def _squared(boxes: Tensor) -> Tensor:
    """Boxes (N,5) widened around their centers to squares of their longer sides."""
    sides = boxes[:, 2:4] - boxes[:, :2]
    longer = sides.amax(1, keepdim=True)
    corners = boxes[:, :2] + sides * 0.5 - longer * 0.5
    return torch.cat([corners, corners + longer, boxes[:, 4:]], 1)


def _suppressed(boxes: Tensor, overlap: float) -> Tensor:
    """Non-maximum suppression by intersection over union: indices of the kept boxes (N,5), by falling score."""
    order = np.argsort(-boxes[:, 4].cpu().numpy(), kind='stable')
    x0, y0, x1, y1 = boxes[:, :4].cpu().numpy()[order].T
    areas, kept, remaining = (x1 - x0) * (y1 - y0), [], np.arange(len(order))
    while remaining.size:
        first, remaining = remaining[0], remaining[1:]
        kept.append(order[first])
        common = (np.maximum(np.minimum(x1[first], x1[remaining]) - np.maximum(x0[first], x0[remaining]), 0)
                  * np.maximum(np.minimum(y1[first], y1[remaining]) - np.maximum(y0[first], y0[remaining]), 0))
        remaining = remaining[~(common / (areas[first] + areas[remaining] - common) > overlap)]
    return torch.as_tensor(np.array(kept, np.int64), device=boxes.device)


def _suppressed_by_smaller(boxes: np.ndarray, overlap: float) -> np.ndarray:
    """Non-maximum suppression by intersection over the smaller area of boxes (N,5), last pixels included: indices of the kept."""
    x0, y0, x1, y1, scores = boxes.T
    areas, kept, remaining = (x1 - x0 + 1) * (y1 - y0 + 1), [], np.argsort(scores)
    while remaining.size:
        first, remaining = remaining[-1], remaining[:-1]
        kept.append(first)
        common = (np.maximum(np.minimum(x1[first], x1[remaining]) - np.maximum(x0[first], x0[remaining]) + 1, 0)
                  * np.maximum(np.minimum(y1[first], y1[remaining]) - np.maximum(y0[first], y0[remaining]) + 1, 0))
        remaining = remaining[common / np.minimum(areas[first], areas[remaining]) <= overlap]
    return np.array(kept, np.int64)
