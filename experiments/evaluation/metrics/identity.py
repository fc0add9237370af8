"""Whether a swap shows its source: cosine and retrieval among all people. Identities are (.,D), unit length."""
import torch
from torch import Tensor


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """(B,D), (B,D) -> (B,)."""
    return (first * second).sum(1)


def people_ranks(swaps: Tensor, pool: Tensor, people: Tensor, sources: Tensor) -> Tensor:
    """How many people are nearer to each swap than the person of its source: (B,) int64, 0 = found first.

    swaps (B,D); pool (N,D), the images of all people, whom they show `people` (N,); sources (B,): which of the pool each swap
    was made from. A person is the mean of their images, without the source itself where there are others.
    """
    present, place = people.unique(return_inverse=True)
    sums = torch.zeros(len(present), pool.shape[1], dtype=pool.dtype).index_add_(0, place, pool)
    counts = place.bincount(minlength=len(present))
    wanted = place[sources]
    rest = sums[wanted] - pool[sources] * (counts[wanted] > 1)[:, None]
    own = cosine(swaps, torch.nn.functional.normalize(rest, dim=1))
    scores = swaps @ torch.nn.functional.normalize(sums, dim=1).t()
    scores[torch.arange(len(swaps)), wanted] = float('-inf')
    return (scores > own[:, None]).sum(1)


def image_ranks(swaps: Tensor, pool: Tensor, people: Tensor, sources: Tensor) -> Tensor:
    """How many images of other people are nearer to each swap than the nearest of its source's person, the source itself
    included, as FaceShifter counts (Li et al. 2020, section 4.2): (B,) int64. Arguments as for people_ranks."""
    scores = swaps @ pool.t()
    same = people[sources][:, None] == people
    best = scores.masked_fill(~same, float('-inf')).amax(1, keepdim=True)
    return ((scores > best) & ~same).sum(1)


def found_within(ranks: Tensor, top: int) -> float:
    """Share of ranks below `top`."""
    return float((ranks < top).double().mean())


def attribute_accuracy(found: Tensor, wanted: Tensor) -> Tensor:
    """(B,A) scores or signs of attributes, present above 0 -> (B,) share on which they agree."""
    return ((found > 0) == (wanted > 0)).double().mean(1)
