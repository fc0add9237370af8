"""Distances between two sets of images, computed on features (N,D) of a network.

On Inception features (models.perception.features.inception) these are FID and KID. On features of an identity encoder they are
called FD-id and KD-id, and their values are not comparable with FID and KID.
"""
import torch
from torch import Tensor

_BLOCK_ROWS = 2048  # rows of the distance matrix computed at a time


class Moments:
    """Running mean and covariance of features, in float64."""

    def __init__(self, width: int):
        self.count = 0
        self.mean = torch.zeros(width, dtype=torch.float64)
        self._scatter = torch.zeros(width, width, dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        """Add features (B,D) by the pairwise update of Chan, Golub and LeVeque 1983."""
        features = features.detach().cpu().double()
        count, mean = len(features), features.mean(0)
        centered, gap, total = features - mean, mean - self.mean, self.count + count
        self._scatter += centered.t() @ centered + torch.outer(gap, gap) * (self.count * count / total)
        self.mean += gap * (count / total)
        self.count = total

    @property
    def covariance(self) -> Tensor:
        """Unbiased covariance (D,D). Raises ValueError for fewer than two features."""
        if self.count < 2:
            raise ValueError('a covariance needs at least two images')
        return self._scatter / (self.count - 1)


def frechet_distance(first: Moments, second: Moments) -> float:
    """Frechet distance |m1 - m2|^2 + tr(A + B - 2 (A B)^(1/2)) of two normal distributions, at least 0 and lower is better
    (Dowson and Landau 1982; FID: Heusel et al. 2017, eq. 6).

    tr((A B)^(1/2)) is the sum of the square roots of the eigenvalues of A B, which equal those of the symmetric L' B L for any L
    with L L' = A, so no matrix square root is needed.
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
    """Mean and standard deviation, over random subsets, of the unbiased squared maximum mean discrepancy with the kernel
    (x.y / D + 1)^3 (KID: Binkowski et al. 2018, eq. 4). Lower is better; the estimate can be slightly negative.

    first, second: features (N,D), (M,D); size: rows of each set per subset, at most N and M. Raises ValueError for fewer than
    two rows.
    """
    size = min(size, len(first), len(second))
    if size < 2:
        raise ValueError('a kernel distance needs at least two images in each set')
    generator, estimates = torch.Generator().manual_seed(seed), []
    for _ in range(subsets):
        x = first[torch.randperm(len(first), generator=generator)[:size]].double()
        y = second[torch.randperm(len(second), generator=generator)[:size]].double()
        xx, yy, xy = (((u @ v.t()) / x.shape[1] + 1) ** 3 for u, v in ((x, x), (y, y), (x, y)))
        within = (xx.sum() - xx.trace() + yy.sum() - yy.trace()) / (size * (size - 1))
        estimates.append(float(within - 2 * xy.mean()))
    values = torch.tensor(estimates, dtype=torch.float64)
    return float(values.mean()), float(values.std(unbiased=False))


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall in [0,1], higher is better (Kynkaanniemi et al. 2019, eq. 1 and 2).

    Precision is the fraction of generated samples inside the manifold of the real ones, recall the fraction of real samples
    inside the manifold of the generated ones. The manifold of a set is the union of balls around its samples whose radius is
    the distance to the k-th nearest neighbor. real (N,D), fake (M,D). Raises ValueError for sets of at most k samples.
    """
    if min(len(real), len(fake)) <= k:
        raise ValueError(f'precision and recall need more than {k} images in each set')
    return _covered(fake, real, k), _covered(real, fake, k)


def _covered(points: Tensor, centers: Tensor, k: int) -> float:
    """Share of points inside a ball around any center with the distance to its k-th nearest neighbor as radius."""
    points, centers = points.double(), centers.double()
    radius = torch.cat([torch.cdist(part, centers).kthvalue(k + 1, 1).values for part in centers.split(_BLOCK_ROWS)])
    return float(torch.cat([(torch.cdist(part, centers) <= radius).any(1) for part in points.split(_BLOCK_ROWS)]).double().mean())
