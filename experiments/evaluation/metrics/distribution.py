"""Distances between two sets of images, measured on features (N,D) of some network.

With the features of Inception (models.perception.features.inception) these are FID and KID; on those of an identity encoder they
are called FD-id and KD-id, whose values are not comparable with them.
"""
import torch
from torch import Tensor

_BLOCK = 2048  # rows of a matrix of distances held at once


class Moments:
    """Running mean and covariance of features, in float64."""

    def __init__(self, width: int):
        self.count = 0
        self.mean = torch.zeros(width, dtype=torch.float64)
        self._scatter = torch.zeros(width, width, dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        """(B,D). The pairwise update of Chan, Golub and LeVeque 1983."""
        features = features.detach().cpu().double()
        count, mean = len(features), features.mean(0)
        centered, gap, total = features - mean, mean - self.mean, self.count + count
        self._scatter += centered.t() @ centered + torch.outer(gap, gap) * (self.count * count / total)
        self.mean += gap * (count / total)
        self.count = total

    @property
    def covariance(self) -> Tensor:
        """(D,D), unbiased. ValueError below two features."""
        if self.count < 2:
            raise ValueError('a covariance needs at least two images')
        return self._scatter / (self.count - 1)


def frechet_distance(first: Moments, second: Moments) -> float:
    """Squared Wasserstein distance of two normal distributions (Dowson and Landau 1982; as FID: Heusel et al. 2017, eq. 6).

    The trace of the square root of A B is the sum of the square roots of its eigenvalues, which are those of the symmetric
    L' B L for any L with L L' = A: no matrix square root is taken.
    """
    a, b = first.covariance, second.covariance
    factor, failed = torch.linalg.cholesky_ex(a)
    if failed:  # fewer images than features: A has no inverse
        values, vectors = torch.linalg.eigh(a)
        factor = vectors * values.clamp_min(0).sqrt()
    values = torch.linalg.eigvalsh(factor.t() @ b @ factor)
    gap = (first.mean - second.mean).square().sum()
    return max(0.0, float(gap + a.trace() + b.trace() - 2 * values.clamp_min(0).sqrt().sum()))


def kernel_distance(first: Tensor, second: Tensor, *, subsets: int = 100, size: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Mean and deviation over random subsets of the unbiased squared maximum mean discrepancy with the kernel (x.y / D + 1)^3
    (KID: Binkowski et al. 2018, eq. 4). first, second: (N,D); a subset has `size` rows of each, fewer where there are fewer."""
    size = min(size, len(first), len(second))
    if size < 2:
        raise ValueError('a kernel distance needs at least two images of each kind')
    draw, found = torch.Generator().manual_seed(seed), []
    for _ in range(subsets):
        x = first[torch.randperm(len(first), generator=draw)[:size]].double()
        y = second[torch.randperm(len(second), generator=draw)[:size]].double()
        xx, yy, xy = (((u @ v.t()) / x.shape[1] + 1) ** 3 for u, v in ((x, x), (y, y), (x, y)))
        within = (xx.sum() - xx.trace() + yy.sum() - yy.trace()) / (size * (size - 1))
        found.append(float(within - 2 * xy.mean()))
    values = torch.tensor(found, dtype=torch.float64)
    return float(values.mean()), float(values.std(unbiased=False))


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Share of generated images that lie among the real ones, and of real ones that lie among the generated ones: nearer to
    one of them than that one's k-th neighbor of its own kind (Kynkaanniemi et al. 2019, eq. 1 and 2). (N,D), (M,D)."""
    if min(len(real), len(fake)) <= k:
        raise ValueError(f'precision and recall need more than {k} images of each kind')
    return _covered(fake, real, k), _covered(real, fake, k)


def _covered(points: Tensor, centers: Tensor, k: int) -> float:
    points, centers = points.double(), centers.double()
    radius = torch.cat([torch.cdist(part, centers).kthvalue(k + 1, 1).values for part in centers.split(_BLOCK)])
    return float(torch.cat([(torch.cdist(part, centers) <= radius).any(1) for part in points.split(_BLOCK)]).double().mean())
