"""Swap models by name: weights, credentials, sampling settings."""
import pytest

from models import weights
from models.base import Family, FamilyConfig
from models.ddpm.family import DDPMConfig
from models.pipelines import swap_model
from models.pipelines.swap_model import SwapModel
from tests.models.stubs import perception


class DiffusionStub(Family):
    """A swap family without networks and with the config of the family ddpm."""

    task = 'swap'

    def __init__(self):
        super().__init__(DDPMConfig(), None)


def load_no_generator(name: str):
    raise AssertionError(name)


@pytest.fixture
def file(tmp_path):
    (tmp_path / 'family.safetensors').write_bytes(b'no weights')
    return tmp_path / 'family.safetensors'


def test_weights_are_those_of_the_zoo_or_of_the_file(file):
    assert SwapModel(load_no_generator, 'cvae').file == weights.path('cvae')
    model = SwapModel(load_no_generator, 'cvae', str(file))
    assert model.file == file and model.info.model == 'family' and list(model.info.weights) == ['family.safetensors']


def test_simswap_is_selected_by_its_name():
    assert SwapModel(load_no_generator, weights='simswap-224').simswap == 'simswap-224'
    assert SwapModel(load_no_generator).simswap is None


def test_sampling_settings_are_overridden(file, monkeypatch):
    monkeypatch.setattr(swap_model, 'load_family', lambda *_: DiffusionStub())
    family = SwapModel(load_no_generator, weights=str(file), sampling=['steps=7', 'eta=0.5']).load(perception())
    assert family.config.sampling.steps == 7 and family.config.sampling.eta == 0.5


def test_former_name_of_a_sampling_setting_is_converted(file, monkeypatch):
    monkeypatch.setattr(swap_model, 'load_family', lambda *_: DiffusionStub())
    family = SwapModel(load_no_generator, weights=str(file), sampling=['towards=0.5']).load(perception())
    assert family.config.sampling.id_guidance == 0.5


def test_sampling_settings_of_one_step_families_are_refused(file, monkeypatch):
    class OneStep(DiffusionStub):
        def __init__(self):
            Family.__init__(self, FamilyConfig(), None)

    monkeypatch.setattr(swap_model, 'load_family', lambda *_: OneStep())
    with pytest.raises(ValueError, match='generates in one step'):
        SwapModel(load_no_generator, weights=str(file), sampling=['steps=7']).load(perception())
