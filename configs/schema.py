"""The settings of a training run: family, data, perception networks, optimizers and engine; presets are YAML files of it."""
from typing import Literal

from pydantic import Field, field_validator

from configs.base import Config, needing
from configs.data import AnyData, SwapData


class PerceptionConfig(Config):
    """The frozen perception networks, by their names in models.weights."""

    id_encoder: str = Field('identity-mobilefacenet', description='identity encoder, or the encoder.safetensors of a run')
    teacher: str | None = Field(None, description='embedder used by the losses, or an encoder.safetensors; None: id_encoder')
    parser: str | None = Field('parsing-unet', description='face parsing network')
    vgg: str | None = Field(None, description='feature network of the perceptual losses of some translators')
    landmarks: bool = Field(True, description='load the detector of five landmarks')
    distillation_teacher: str | None = Field(None, description='trained swapper for the loss distillation: a file or a zoo name')
    reverser: str | None = Field(None, description='trained swapper for model.reversed: a file or a zoo name')


class OptimizerConfig(Config):
    """The optimizer and learning-rate schedule of one parameter group."""

    name: Literal['adam', 'adamw', 'sgd', 'rmsprop'] = Field('adamw', description='torch.optim class')
    lr: float = Field(2e-4, gt=0, description='peak learning rate')
    betas: tuple[float, float] = Field((0.9, 0.99), description='Adam betas; sgd: (momentum, unused); rmsprop: (momentum, alpha)')
    weight_decay: float = Field(0.0, ge=0, description='weight decay')
    schedule: Literal['constant', 'linear', 'cosine'] = Field('constant', description='decay of the rate after the warm-up')
    warmup: int = Field(0, ge=0, description='updates of linear warm-up')
    decay_from: float = Field(0.0, ge=0, le=1, description='fraction of the run at which the decay begins')
    floor: float = Field(0.0, ge=0, le=1, description='final rate as a fraction of lr')
    drops: tuple[float, ...] = Field((), description='fractions of the run after each of which the rate is multiplied by 0.1')
    every: int = Field(1, ge=1, le=32, description='steps from one update of this parameter group to the next')

    def ignored(self) -> dict[str, str]:
        return needing('schedule=linear or cosine', self.schedule != 'constant', 'decay_from', 'floor')


class EngineConfig(Config):
    """Duration, device, precision, logging and checkpoints."""

    steps: int = Field(2000, ge=1, description='training steps; in each, every parameter group that is due is updated once')
    precision: Literal['32-true', 'bf16-mixed', '16-mixed'] = Field(
        '32-true', description='autocast precision of the networks; alignment, perception maps, losses and weights are float32')
    accelerator: Literal['auto', 'cpu', 'cuda', 'mps'] = Field('auto', description='device type')
    devices: int = Field(1, ge=1, description='processes per node, one device each')
    nodes: int = Field(1, ge=1, description='number of machines')
    accumulate: int = Field(1, ge=1, description='micro-batches per update')
    clip: float = Field(1.0, ge=0, description='maximum gradient norm of a parameter group; 0: no clipping')
    ema: float = Field(0.999, ge=0, lt=1, description='decay of the EMA weights')
    ema_from: float = Field(0.0, ge=0, lt=1, description='fraction of the run before which the EMA weights equal the weights')
    compile: bool = Field(False, description='torch.compile the family')
    channels_last: bool = Field(False, description='channels_last memory format')
    cpu_kernels: bool = Field(False, description='hand-written CPU layers of models.runtime.cpu_kernels in the generators')
    seed: int = Field(0, ge=0, description='random seed')
    log_every: int = Field(20, ge=1, description='steps between journal lines of the losses')
    checkpoint_every: int = Field(500, ge=1, description='steps between checkpoints')
    image_every: int = Field(500, ge=1, description='steps between image panels')
    validate_every: int = Field(500, ge=1, description='steps between validations')
    keep: int = Field(2, ge=1, description='number of newest checkpoints that are kept')
    best: str | None = Field(None, description='validation metric, such as validation/id, whose best checkpoint is kept as well')
    best_is: Literal['min', 'max'] = Field('min', description='whether lower or higher values of `best` are better')

    def ignored(self) -> dict[str, str]:
        float32_on_cpu = self.precision == '32-true' and self.accelerator in ('auto', 'cpu')
        return {**needing('engine.ema above 0', self.ema, 'ema_from'), **needing('engine.best', self.best, 'best_is'),
                **needing('engine.precision=32-true and engine.accelerator=cpu', float32_on_cpu, 'cpu_kernels')}


class RunConfig(Config):
    """All settings of a training run."""

    family: str = Field(description='name of the model family')
    model: dict = Field({}, description="the family's own config")
    data: AnyData = Field(SwapData(), description='data set and batches; the section of the task of the family')
    perception: PerceptionConfig = Field(PerceptionConfig(), description='frozen perception networks')
    param_groups: dict[str, OptimizerConfig] = Field(
        {'default': OptimizerConfig()}, description='optimizer per parameter group; `default` applies to unlisted groups')
    engine: EngineConfig = Field(EngineConfig(), description='duration, device, logging and checkpoints')

    def ignored(self) -> dict[str, str]:
        return needing('data.validation_batches above 0', self.data.validation_batches, 'engine.validate_every')

    @field_validator('param_groups')
    @classmethod
    def _has_default(cls, param_groups: dict) -> dict:
        return param_groups if 'default' in param_groups else {'default': OptimizerConfig(), **param_groups}
