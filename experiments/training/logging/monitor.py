"""Warnings about known failures of face swapping and of adversarial training, from the metrics of a run."""
from collections import deque

WINDOW = 10  # number of journal lines that a diagnosis covers
# Failure `flat`: id_source below the first value, with a gain from the first to the second half of the window below the second.
FLAT_COSINE, FLAT_GAIN = 0.1, 0.005
FADING_COSINE = 0.05  # failure `fading`: decrease of id_source below its maximum
COPY_COSINE = 0.3  # failure `copy`: id_target above this value and above id_source
DOMINANT_ACCURACY = 0.97  # failure `discriminator`: accuracies on real and on generated images above this value


class TrainingMonitor:
    """Diagnoses a run from metrics that the swap families log.

    `id_source` and `id_target` are cosine similarities of swaps to source and target over pairs of different identities;
    `real_accuracy` and `fake_accuracy` are the accuracies of a discriminator on real and generated images.
    """

    def __init__(self) -> None:
        self._history: deque[dict[str, float]] = deque(maxlen=WINDOW)
        self._max_id_source = float('-inf')
        self._active: set[str] = set()

    def warnings(self, step: int, metrics: dict[str, float]) -> list[str]:
        """Warnings after the metrics of another journal line. A failure is reported when it begins and not while it lasts."""
        self._history.append(metrics)
        if len(self._history) < WINDOW:
            return []
        failures = {**self._identity_failure(), **self._discriminator_failure()}
        started = [text for name, text in failures.items() if name not in self._active]
        self._active = set(failures)
        return [f'step {step}: {text}' for text in started]

    def _identity_failure(self) -> dict[str, str]:
        """At most one of `flat`, `fading` and `copy`: name -> text."""
        source, target = self._mean('id_source'), self._mean('id_target')
        if source is None:
            return {}
        failure, previous_max = {}, self._max_id_source
        first, second = self._mean('id_source', 0, WINDOW // 2), self._mean('id_source', WINDOW // 2, WINDOW)
        if first is not None and second is not None and source < FLAT_COSINE and second - first < FLAT_GAIN:
            failure = {'flat': f'the similarity of swaps to their sources is low and does not rise (cosine {source:.2f}); raise '
                               'model.weights.id, or lower the losses that compare with the target'}
        elif source < previous_max - FADING_COSINE:
            failure = {'fading': f'the similarity of swaps to their sources falls (cosine {source:.2f}, before '
                                 f'{previous_max:.2f}); raise model.weights.id or lower the learning rate'}
        elif target is not None and target > source and target > COPY_COSINE:
            failure = {'copy': f'swaps are more similar to their targets (cosine {target:.2f}) than to their sources '
                               f'({source:.2f}); lower data.same_ratio or the losses that compare with the target'}
        self._max_id_source = max(previous_max, source)
        return failure

    def _discriminator_failure(self) -> dict[str, str]:
        real, fake = self._mean('real_accuracy'), self._mean('fake_accuracy')
        if real is None or fake is None or min(real, fake) <= DOMINANT_ACCURACY:
            return {}
        return {'discriminator': f'the discriminator classifies {100 * real:.0f} % of the real and {100 * fake:.0f} % of the '
                                 'generated images correctly; lower param_groups.discriminator.lr or raise model.weights.r1'}

    def _mean(self, name: str, start: int = 0, stop: int = WINDOW) -> float | None:
        values = [metrics[name] for metrics in list(self._history)[start:stop] if name in metrics]
        return sum(values) / len(values) if values else None
