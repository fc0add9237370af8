"""Options that several scripts share."""
import argparse

import pytest
import torch

from experiments.options import add_device_option


@pytest.fixture
def parse():
    parser = argparse.ArgumentParser()
    add_device_option(parser)
    return parser.parse_args


def test_device_that_exists_is_accepted(parse):
    assert parse(['--device', 'cpu']).device == 'cpu'
    assert parse([]).device == ('cuda' if torch.cuda.is_available() else 'cpu')


@pytest.mark.parametrize('device', ['gpu', 'cuda:64', 'cpu:x', 'meta', 'xla', ''])
def test_device_that_does_not_exist_is_refused_in_one_sentence(parse, device, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(['--device', device])
    assert caught.value.code == 2
    assert f'argument --device: PyTorch finds no device {device}; use --device cpu' in capsys.readouterr().err.splitlines()[-1]
