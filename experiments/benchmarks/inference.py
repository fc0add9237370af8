"""How fast networks are in plain PyTorch and as the suite runs them, side by side under the same load."""
import copy
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from experiments.evaluation.metrics.cost import gigaflop, parameters, peak_megabytes, timed
from models.cgan.discriminators import PatchConfig, build_discriminator
from models.cgan.generator import PUBLISHED, Generator
from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.networks.onnx_export import SPARED, PortableDenoiser, export_denoiser, noisy
from models.losses.adversarial import discriminator_on_fake, discriminator_on_real, generator_loss
from models.pipelines.onnx_export import export_generator
from models.runtime.fusion import fused
from models.runtime.sessions import Session, opened, quantise

_CALIBRATION = 8  # batches at most on which int8 finds its ranges and is looked at


def matmul_peak(device: torch.device, dtype: torch.dtype, *, side: int = 2048, repeats: int = 5) -> float:
    """10^9 operations per second of the fastest of a few square matrix products."""
    first, second = torch.rand(2, side, side, device=device, dtype=dtype)
    return 2 * side ** 3 / min(timed(lambda: first @ second)[1] for _ in range(repeats + 1)) / 1e9


def _alternating(forms: dict[str, Callable[[], Tensor]], repeats: int) -> dict[str, float]:
    """Median seconds of each form, called in turns, each time after a call that is not counted: in it the threads of the form
    before, which may be another library's, go to sleep."""
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(repeats):
        for name, work in forms.items():
            work()
            seconds[name].append(timed(work)[1])
    return {name: statistics.median(values) for name, values in seconds.items()}


def _dtype(device: torch.device) -> torch.dtype:
    """bf16 on a GPU; on a CPU without matrix units for it float32 is faster (measured: 1.5 times)."""
    fast = device.type == 'cuda' or torch.backends.cpu.get_cpu_capability() == 'AMX'
    return torch.bfloat16 if fast else torch.float32


def swapping(*, size: int, batch: int, repeats: int, compiled: bool, device: str) -> dict[str, float]:
    """Inference of SimSwap's published generator for 224 pixels: plain float32 eager against batch norms folded, channels_last,
    bf16 on a GPU and, where asked for, torch.compile; on a CPU also against onnxruntime in int8."""
    where = torch.device(device)
    plain = Generator(PUBLISHED['simswap-224'].model_copy(update={'size': size})).eval().requires_grad_(False).to(where)
    dtype = _dtype(where)
    quick = fused(plain).to(dtype=dtype, memory_format=torch.channels_last)
    if compiled:
        quick.compile(dynamic=False)
    target, identity = torch.rand(batch, 3, size, size, device=where), torch.randn(batch, 512, device=where)
    identity = nn.functional.normalize(identity, dim=1)
    given = target.to(dtype, memory_format=torch.channels_last), identity.to(dtype)
    with torch.no_grad():
        work = gigaflop(lambda: plain(target, identity))
        forms = {'plain': lambda: plain(target, identity), 'ours': lambda: quick(*given)}
        if where.type == 'cpu':
            small = _in_int8(plain, target, identity)
            forms['int8'] = lambda: small(target=target, identity=identity)
        seconds = _alternating(forms, repeats)
    figures = _figures(seconds, batch, work, parameters(plain), where, dtype)
    if 'int8' in seconds:
        figures |= {'int8, images/s': batch / seconds['int8'], 'int8, times as fast': seconds['plain'] / seconds['int8']}
    return figures


def _in_int8(generator: Generator, target: Tensor, identity: Tensor) -> Session:
    def write(file: Path) -> float:
        export_generator(generator, file)
        return quantise(file, [{'target': target, 'identity': identity}] * 2)

    return opened(write)


def evaluating(denoiser: Denoiser, images: Tensor, *, batch: int, repeats: int = 8) -> tuple[dict[str, float], Denoiser | None]:
    """Median milliseconds of one evaluation per image: plain, in channels_last and, on a CPU, on onnxruntime in float32 and in
    int8, whose ranges are found on the images (N,3,S,S); with what int8 moves the output, root mean square. And the denoiser in
    int8, where there is one."""
    chance, figures, small = torch.Generator().manual_seed(0), {}, None
    samples = [noisy(chunk, denoiser, chance) for chunk in images.cpu().split(batch)[:_CALIBRATION]]
    given = samples[0]['image'].to(images.device), samples[0]['timestep'].to(images.device)
    forms = {}
    for name, layout in (('plain', torch.contiguous_format), ('channels_last', torch.channels_last)):
        network, image = copy.deepcopy(denoiser).to(memory_format=layout), given[0].contiguous(memory_format=layout)
        forms[name] = partial(network, image, given[1])
    if not images.is_cuda:
        def write(file: Path, *, int8: bool) -> None:
            export_denoiser(denoiser, 'face', file)
            if int8:
                figures['int8 moves'] = quantise(file, samples, SPARED)

        exact, small = (opened(partial(write, int8=int8), open_file=PortableDenoiser) for int8 in (False, True))
        forms |= {'onnxruntime': partial(exact, *given), 'int8': partial(small, *given)}
    with torch.no_grad():
        seconds = _alternating(forms, repeats)
    return {f'{name} evaluation ms': 1000 * value / len(given[0]) for name, value in seconds.items()} | figures, small


def training(*, size: int, batch: int, repeats: int, compiled: bool, device: str) -> dict[str, float]:
    """One step of generator and discriminator, both as published for 224 pixels, with their adversarial and reconstruction
    losses: plain float32 eager, in which each parameter group draws the swap for itself, against channels_last, bf16 on a GPU,
    one drawing for both and, where asked for, torch.compile."""
    where = torch.device(device)
    dtype = _dtype(where)
    target, identity = torch.rand(batch, 3, size, size, device=where) * 2 - 1, torch.randn(batch, 512, device=where)
    identity = nn.functional.normalize(identity, dim=1)
    plain, quick = (_Game(size, where, drawn_once=own) for own in (False, True))
    for network in (quick.generator, quick.discriminator):
        network.to(memory_format=torch.channels_last)
        if compiled:
            network.compile(dynamic=False)

    def ours() -> Tensor:
        with torch.autocast(where.type, dtype, enabled=dtype != torch.float32):
            return quick.step(target.contiguous(memory_format=torch.channels_last), identity)

    work = gigaflop(lambda: plain.step(target, identity))
    seconds = _alternating({'plain': lambda: plain.step(target, identity), 'ours': ours}, repeats)
    return _figures(seconds, batch, work, parameters(plain.generator) + parameters(plain.discriminator), where, dtype)


class _Game:
    """The published generator and patch discriminator with their optimizers."""

    def __init__(self, size: int, device: torch.device, *, drawn_once: bool):
        self.generator = Generator(PUBLISHED['simswap-224']).to(device)
        self.discriminator = build_discriminator(PatchConfig(size=size)).to(device)
        self.drawn_once = drawn_once
        self.optimizers = [torch.optim.Adam(network.parameters(), 4e-4, betas=(0.0, 0.99), fused=drawn_once)
                           for network in (self.generator, self.discriminator)]

    def step(self, target: Tensor, identity: Tensor) -> Tensor:
        """One update of both; target (B,3,H,W) in [-1,1]. Returns the discriminator's loss."""
        for group, optimizer in enumerate(self.optimizers):
            self.discriminator.requires_grad_(group == 1)
            if group == 0:
                swap = self.generator.swap(target, identity)
                loss = generator_loss('hinge', self.discriminator(swap).logits) + 10 * (swap - target).abs().mean()
            else:
                if not self.drawn_once:
                    with torch.no_grad():
                        swap = self.generator.swap(target, identity)
                real, fake = self.discriminator(target).logits, self.discriminator(swap.detach()).logits
                loss = discriminator_on_real('hinge', real) + discriminator_on_fake('hinge', fake)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return loss.detach()


def _figures(seconds: dict[str, float], batch: int, work: float, numbers: int, device: torch.device,
             dtype: torch.dtype) -> dict[str, float]:
    """work: 10^9 operations of the plain form."""
    peak = matmul_peak(device, torch.float32), matmul_peak(device, dtype)
    plain, ours = seconds['plain'], seconds['ours']
    return {'plain, images/s': batch / plain, 'ours, images/s': batch / ours, 'times as fast': plain / ours,
            'GFLOP per image': work / batch, 'million numbers': numbers / 1e6, 'plain, % of peak': 100 * work / plain / peak[0],
            'ours, % of peak': 100 * work / ours / peak[1], 'peak MB of both': peak_megabytes(device)}
