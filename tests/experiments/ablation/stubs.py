"""Small ablations, and stand-ins for their training."""
import json
from html.parser import HTMLParser

import torch

from configs.ablation import AblationConfig
from configs.resolve import dump
from experiments.training.state.checkpoint import save_family
from models.perception.encoder_files import encoder_bytes
from models.perception.encoders.family import Recognizer, RecognizerConfig
from models.registry import build_family

TINY = {'model.size': 32, 'model.fold': 2, 'model.widths': [8, 16], 'model.depth': 1, 'engine.steps': 4, 'data.batch': 2}
ENCODERS = {
    'question': 'Do pairs of photos and drawings help?', 'seeds': [0, 1],
    'variants': {'no pairs': {'settings': {'data.balanced': False}}},
    'base': {'family': 'recognizer', 'settings': {
        'model.size': 32, 'model.embedding': 8, 'data.balanced': True, 'data.name': 'webcaricature', 'data.root': 'caricatures',
        'model.init': 'identity-mobilefacenet', 'model.weights.margin': 0}},
}


def ablation(**changes) -> AblationConfig:
    return AblationConfig(**{'question': 'Does <it> matter?', 'base': {'family': 'cvae', 'settings': TINY},
                             'variants': {'no identity': {'settings': {'model.weights.id': 0}}}, 'images': 2,
                             'judges': ['identity-mobilefacenet'], **changes})


def write_run(run, environment, stopping) -> None:
    """Write the files of a finished training with random weights."""
    torch.manual_seed(run.seed + len(run.variant))
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / 'config.yaml').write_text(dump(run.training))
    family = build_family(run.config.family, run.training.model, None)
    save_family(run.folder / 'family.safetensors', run.config.family, family.state_dict(), family.config)
    lines = [{'step': step, 'event': 'train', 'train/kl': 1 / step, 'images_per_second': 8.0} for step in (2, 4)]
    (run.folder / 'journal.jsonl').write_text(''.join(f'{json.dumps(line)}\n' for line in lines))


def encoder_writer(*identities):
    """The stand-in for the training of an encoder on images of these identities."""
    def train(run, environment, stopping):
        torch.manual_seed(run.seed)
        run.folder.mkdir(parents=True)
        encoder = encoder_bytes(Recognizer(RecognizerConfig(**run.config.model), None), identities)
        (run.folder / 'encoder.safetensors').write_bytes(encoder)
    return train


class Page(HTMLParser):
    """Links and texts of an HTML page. Fails where tags are not closed in order."""

    def __init__(self):
        super().__init__()
        self.links, self.texts, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ('src', 'href')]
        if tag not in ('meta', 'img', 'path'):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ('src', 'href')]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
