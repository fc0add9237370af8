import torch
import torch.nn.functional as F

from experiments.evaluation.metrics.identity import attribute_accuracy, cosine, identity_ranks, image_ranks, share_within


def test_cosine_and_attribute_accuracy():
    first, second = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    wanted = F.cosine_similarity(first, second)
    assert torch.allclose(cosine(F.normalize(first, dim=1), F.normalize(second, dim=1)), wanted, atol=1e-6)
    found = attribute_accuracy(torch.tensor([[2.0, -1, 0.3, -4]]), torch.tensor([[1.0, 1, 1, -1]]))
    assert found.tolist() == [0.75]


def by_hand(swap, pool, people, source):
    """Ranks written out: (among people by their means, among images)."""
    scores = {}
    for person in people.unique().tolist():
        rows = [i for i in range(len(pool)) if people[i] == person]
        rest = [i for i in rows if i != source] or rows
        scores[person] = float(F.normalize(pool[rest].sum(0), dim=0) @ swap)
    own = int(people[source])
    best = max(float(pool[i] @ swap) for i in range(len(pool)) if people[i] == own)
    others = [i for i in range(len(pool)) if people[i] != own]
    return sum(value > scores[own] for value in scores.values()), sum(float(pool[i] @ swap) > best for i in others)


def test_ranks_agree_with_ranks_written_out():
    draw = torch.Generator().manual_seed(5)
    pool, people = F.normalize(torch.randn(30, 6, generator=draw), dim=1), torch.arange(30) % 11 * 7
    people[-1] = 1000  # somebody with a single image
    sources = torch.tensor([0, 3, 12, 29, 20])
    swaps = F.normalize(pool[sources] + 0.6 * torch.randn(5, 6, generator=draw), dim=1)
    among_people, among_images = (ranks(swaps, pool, people, sources) for ranks in (identity_ranks, image_ranks))
    wanted = [by_hand(swap, pool, people, source) for swap, source in zip(swaps, sources.tolist())]
    assert list(zip(among_people.tolist(), among_images.tolist())) == wanted
    assert share_within(torch.tensor([0, 4, 5, 9]), 5) == 0.5


def test_a_copy_of_the_source_is_found_first_among_images_but_not_by_itself_among_people():
    pool = torch.eye(4)
    people = torch.tensor([0, 0, 1, 1])  # the two images of each person are unlike
    copies = pool[:1]
    assert image_ranks(copies, pool, people, torch.tensor([0])).tolist() == [0]
    nearer = F.normalize(torch.tensor([[1.0, 0, 0.5, 0]]), dim=1)
    assert identity_ranks(nearer, pool, people, torch.tensor([0])).tolist() == [1]
