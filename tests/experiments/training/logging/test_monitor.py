"""Warnings about failures of a run: once per failure, and none without one."""
from experiments.training.logging.monitor import TrainingMonitor

Metrics = list[dict[str, float]]  # by journal line


def warnings(lines: Metrics) -> list[str]:
    monitor = TrainingMonitor()
    return [text for step, metrics in enumerate(lines) for text in monitor.warnings(step, metrics)]


def similarities(source: list[float], target: float = 0.0) -> Metrics:
    return [{'id_source': value, 'id_target': target} for value in source]


def test_low_constant_similarity_warns_once():
    texts = warnings(similarities([0.01] * 30))
    assert len(texts) == 1 and 'does not rise' in texts[0] and texts[0].startswith('step 9:')


def test_rising_or_high_similarity_gives_no_warning():
    assert warnings(similarities([0.01 * step for step in range(40)] + [0.4] * 20, target=0.1)) == []


def test_falling_similarity_warns():
    texts = warnings(similarities([0.02 * step for step in range(20)] + [0.38 - 0.02 * step for step in range(15)]))
    assert len(texts) == 1 and 'falls' in texts[0]


def test_copied_target_warns():
    assert 'more similar to their targets' in warnings(similarities([0.15] * 12, target=0.7))[0]


def test_similarity_in_one_half_of_the_window_gives_no_warning():
    """With engine.log_every=1 the similarity, measured every 20 steps, is in one of 20 lines."""
    assert warnings([{'id_source': 0.01, 'id_target': 0.0} if step % 20 == 0 else {} for step in range(60)]) == []


def test_accurate_discriminator_warns_again_only_after_a_recovery():
    accurate, fair = [{'real_accuracy': 0.99, 'fake_accuracy': 1.0}], [{'real_accuracy': 0.7, 'fake_accuracy': 0.6}]
    texts = warnings(accurate * 15 + fair * 15 + accurate * 15)
    assert len(texts) == 2 and all('the discriminator classifies 99 % of the real' in text for text in texts)


def test_no_metrics_give_no_warning():
    assert warnings([{}] * 30) == []
