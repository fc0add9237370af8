"""What a run is: family, data, perception, optimizers, engine. Presets are YAML files of this shape beside this file."""
from typing import Literal

from pydantic import Field, field_validator

from configs.base import Config, needing


class MatchingConfig(Config):
    """Histograms of an unpaired photo and drawing matched in a color space: b to a's with the probability to_a, otherwise a to
    b's, by `ratio` of the way."""

    space: Literal['none', 'rgb', 'hsv', 'hls'] = 'none'
    to_a: float = Field(0.5, ge=0, le=1)
    ratio: float = Field(1.0, ge=0, le=1)


class DataConfig(Config):
    """Which images, and how they become batches.

    name: a data set of datasets.loaders. root: its folder; None for `synthetic`, which draws its faces itself. batch: images
    per process and micro-batch. same_ratio: share of pairs that show one person. crops: share of unpaired images of which,
    beside other augmentation, a random square of 0.748 to 1 of the area is taken.
    balanced: batches of pairs, a photo and a drawing of one person (webcaricature). exaggerate: how far the features of faces are
    moved away from the mean face, 0 for not at all, 1 for twice as far.
    """

    name: str = 'synthetic'
    root: str | None = None
    batch: int = Field(16, ge=1)
    workers: int = Field(2, ge=0)
    same_ratio: float = Field(0.5, ge=0, le=1)
    partition: str = 'train'
    validation_partition: str = 'validation'
    validation_batches: int = Field(4, ge=0)
    augment: bool = True
    crops: float = Field(0.0, ge=0, le=1)
    balanced: bool = False
    exaggerate: float = Field(0.0, ge=0, le=3)
    matching: MatchingConfig = MatchingConfig()


class PerceptionConfig(Config):
    """The frozen networks that look at faces, by their names in models.weights; id_encoder and teacher may be the
    encoder.safetensors of a run. teacher: None means the id_encoder. vgg: for the perceptual losses of some translators.
    landmarks: whether to load the finder of five landmarks. distillation_teacher: a trained swapper for the loss of that name, a
    safetensors file or a name such as cvae."""

    id_encoder: str = 'identity-mobilefacenet'
    teacher: str | None = None
    parser: str | None = 'parsing-unet'
    vgg: str | None = None
    landmarks: bool = True
    distillation_teacher: str | None = None


class OptimizerConfig(Config):
    """How one parameter group is optimized.

    schedule: what the rate does after the warm-up (in updates) and after the fraction `decay_from` of the run, down to
    lr * floor. betas: the first one is the momentum for sgd and rmsprop, the second one rmsprop's decay. every: steps from one
    update of this parameter group to the next, so that `generator.every: 2` gives a discriminator two updates for each of the
    generator's.
    """

    name: Literal['adam', 'adamw', 'sgd', 'rmsprop'] = 'adamw'
    lr: float = Field(2e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal['constant', 'linear', 'cosine'] = 'constant'
    warmup: int = Field(0, ge=0)
    decay_from: float = Field(0.0, ge=0, le=1)
    floor: float = Field(0.0, ge=0, le=1)
    drops: tuple[float, ...] = ()
    every: int = Field(1, ge=1, le=32)

    def ignored(self) -> dict[str, str]:
        return needing('schedule=linear or cosine', self.schedule != 'constant', 'decay_from', 'floor')


class EngineConfig(Config):
    """How long, on what, and how often a word is said.

    steps: of the loop, each an update of every parameter group that is due. devices: processes per node, each on a device of its
    own. accumulate: micro-batches per update. precision: of the networks, by autocast; alignment, parsing, landmarks, losses and
    weights are float32 in any case. clip: largest norm of a parameter group's gradient, 0 for none. ema: decay of the averaged
    weights, which until the fraction ema_from of the run are the weights themselves. keep: newest checkpoints that stay; `best`,
    the name of a validation figure (such as validation/identity), keeps the checkpoint where it was best as well.
    Every *_every counts steps.
    """

    steps: int = Field(2000, ge=1)
    precision: Literal['32-true', 'bf16-mixed', '16-mixed'] = '32-true'
    accelerator: Literal['auto', 'cpu', 'cuda', 'mps'] = 'auto'
    devices: int = Field(1, ge=1)
    nodes: int = Field(1, ge=1)
    accumulate: int = Field(1, ge=1)
    clip: float = Field(1.0, ge=0)
    ema: float = Field(0.999, ge=0, lt=1)
    ema_from: float = Field(0.0, ge=0, lt=1)
    compile: bool = False
    channels_last: bool = False
    cpu_kernels: bool = Field(False, description='hand-written CPU layers of models.runtime.cpu_kernels in the generators')
    seed: int = Field(0, ge=0)
    log_every: int = Field(20, ge=1)
    checkpoint_every: int = Field(500, ge=1)
    image_every: int = Field(500, ge=1)
    validate_every: int = Field(500, ge=1)
    keep: int = Field(2, ge=1)
    best: str | None = None
    best_is: Literal['min', 'max'] = 'min'

    def ignored(self) -> dict[str, str]:
        float32_on_cpu = self.precision == '32-true' and self.accelerator in ('auto', 'cpu')
        return {**needing('engine.ema above 0', self.ema, 'ema_from'), **needing('engine.best', self.best, 'best_is'),
                **needing('engine.precision=32-true and engine.accelerator=cpu', float32_on_cpu, 'cpu_kernels')}


class RunConfig(Config):
    """A whole run. model: the family's own config. param_groups: optimizer per parameter group; `default` serves those not
    named."""

    family: str
    model: dict = {}
    data: DataConfig = DataConfig()
    perception: PerceptionConfig = PerceptionConfig()
    param_groups: dict[str, OptimizerConfig] = {'default': OptimizerConfig()}
    engine: EngineConfig = EngineConfig()

    def ignored(self) -> dict[str, str]:
        return needing('data.validation_batches above 0', self.data.validation_batches, 'engine.validate_every')

    @field_validator('param_groups')
    @classmethod
    def _has_default(cls, param_groups: dict) -> dict:
        return param_groups if 'default' in param_groups else {'default': OptimizerConfig(), **param_groups}
