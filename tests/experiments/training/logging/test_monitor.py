"""Failures of a run are said in words, once, and only when they are there."""
from experiments.training.logging.monitor import TrainingMonitor


def said(lines: list[dict[str, float]]) -> list[str]:
    watch = TrainingMonitor()
    return [words for step, figures in enumerate(lines) for words in watch.warnings(step, figures)]


def cosines(source: list[float], target: float = 0.0) -> list[dict[str, float]]:
    return [{'id_source': value, 'id_target': target} for value in source]


def test_a_flat_identity_is_said_once():
    words = said(cosines([0.01] * 30))
    assert len(words) == 1 and 'does not learn the identity' in words[0] and words[0].startswith('step 9:')


def test_an_identity_that_rises_or_stands_high_is_no_trouble():
    assert said(cosines([0.01 * step for step in range(40)] + [0.4] * 20, target=0.1)) == []


def test_an_identity_that_fades_late_is_said():
    words = said(cosines([0.02 * step for step in range(20)] + [0.38 - 0.02 * step for step in range(15)]))
    assert len(words) == 1 and 'fades' in words[0]


def test_a_redrawn_target_is_said():
    assert 'redraws the target' in said(cosines([0.15] * 12, target=0.7))[0]


def test_a_discriminator_that_has_won_is_said_and_said_again_only_after_a_recovery():
    won, fair = [{'real_accuracy': 0.99, 'fake_accuracy': 1.0}], [{'real_accuracy': 0.7, 'fake_accuracy': 0.6}]
    words = said(won * 15 + fair * 15 + won * 15)
    assert len(words) == 2 and all('it has won' in line for line in words)


def test_a_family_that_notes_nothing_is_left_alone():
    assert said([{}] * 30) == []
