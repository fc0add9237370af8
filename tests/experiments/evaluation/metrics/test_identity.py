"""Identity similarity and retrieval ranks."""
import torch
import torch.nn.functional as F

from experiments.evaluation.metrics.identity import attribute_accuracy, cosine, identity_ranks, image_ranks, share_within


def test_cosine_and_attribute_accuracy():
    first, second = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    expected = F.cosine_similarity(first, second)
    assert torch.allclose(cosine(F.normalize(first, dim=1), F.normalize(second, dim=1)), expected, atol=1e-6)
    accuracy = attribute_accuracy(torch.tensor([[2.0, -1, 0.3, -4]]), torch.tensor([[1.0, 1, 1, -1]]))
    assert accuracy.tolist() == [0.75]


def reference_ranks(swap, pool, labels, source):
    """Ranks by loops: among the means of identities, among images."""
    scores = {}
    for label in labels.unique().tolist():
        rows = [i for i in range(len(pool)) if labels[i] == label]
        rest = [i for i in rows if i != source] or rows
        scores[label] = float(F.normalize(pool[rest].sum(0), dim=0) @ swap)
    source_label = int(labels[source])
    best = max(float(pool[i] @ swap) for i in range(len(pool)) if labels[i] == source_label)
    others = [i for i in range(len(pool)) if labels[i] != source_label]
    return (sum(value > scores[source_label] for value in scores.values()),
            sum(float(pool[i] @ swap) > best for i in others))


def test_ranks_equal_those_of_loops():
    generator = torch.Generator().manual_seed(5)
    pool, labels = F.normalize(torch.randn(30, 6, generator=generator), dim=1), torch.arange(30) % 11 * 7
    labels[-1] = 1000  # an identity with a single image
    sources = torch.tensor([0, 3, 12, 29, 20])
    swaps = F.normalize(pool[sources] + 0.6 * torch.randn(5, 6, generator=generator), dim=1)
    of_identities, of_images = (ranks(swaps, pool, labels, sources) for ranks in (identity_ranks, image_ranks))
    expected = [reference_ranks(swap, pool, labels, source) for swap, source in zip(swaps, sources.tolist())]
    assert list(zip(of_identities.tolist(), of_images.tolist())) == expected
    assert share_within(torch.tensor([0, 4, 5, 9]), 5) == 0.5


def test_the_source_image_counts_among_images_but_not_among_identities():
    pool = torch.eye(4)
    labels = torch.tensor([0, 0, 1, 1])  # the two images of each identity are orthogonal
    assert image_ranks(pool[:1], pool, labels, torch.tensor([0])).tolist() == [0]
    swap = F.normalize(torch.tensor([[1.0, 0, 0.5, 0]]), dim=1)
    assert identity_ranks(swap, pool, labels, torch.tensor([0])).tolist() == [1]
