"""Known failures of swappers and of adversarial games, said in words as soon as a run's figures show them."""
from collections import deque

_SPAN = 10  # lines of the journal that a judgment looks back on


class TrainingMonitor:
    """Reads the figures that a family notes: `id_source` and `id_target` (cosine of the swap to either person, over
    pairs of different people), `real_accuracy` and `fake_accuracy` (share of real and of generated images that a discriminator
    tells)."""

    def __init__(self):
        self._seen: deque[dict[str, float]] = deque(maxlen=_SPAN)
        self._best = float('-inf')
        self._said: set[str] = set()

    def warnings(self, step: int, figures: dict[str, float]) -> list[str]:
        """What is to be said after this line of the journal; a failure is said when it begins, not again while it lasts."""
        self._seen.append(figures)
        if len(self._seen) < _SPAN:
            return []
        found = {}
        source, target = self._mean('id_source'), self._mean('id_target')
        if source is not None:
            half = _SPAN // 2
            gain = self._mean('id_source', half, _SPAN) - self._mean('id_source', 0, half)
            if source < 0.1 and gain < 0.005:
                found['flat'] = (f'the swap is no more like its source than before (cosine {source:.2f}, and flat): it does not '
                                 'learn the identity; raise model.weights.id, or lower the losses that pull to the target')
            elif source < self._best - 0.05:
                found['fading'] = (f'the swap loses its source again (cosine {source:.2f}, it was {self._best:.2f}): the '
                                   'identity fades; raise model.weights.id or lower the learning rate')
            elif target is not None and target > source and target > 0.3:
                found['copy'] = (f'the swap is more like its target (cosine {target:.2f}) than its source ({source:.2f}): it '
                                 'redraws the target; lower data.same_ratio or the losses that pull to the target')
            self._best = max(self._best, source)
        real, fake = self._mean('real_accuracy'), self._mean('fake_accuracy')
        if real is not None and min(real, fake) > 0.97:
            found['discriminator'] = (
                f'the discriminator tells {100 * real:.0f} % of the real and {100 * fake:.0f} % of the generated '
                'images: it has won; lower param_groups.discriminator.lr or raise model.weights.r1'
            )
        new = [found[name] for name in found if name not in self._said]
        self._said = set(found)
        return [f'step {step}: {words}' for words in new]

    def _mean(self, name: str, start: int = 0, stop: int = _SPAN) -> float | None:
        values = [figures[name] for figures in list(self._seen)[start:stop] if name in figures]
        return sum(values) / len(values) if values else None
