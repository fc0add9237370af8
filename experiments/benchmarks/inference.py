"""Speed of networks in plain PyTorch and in the suite's form, under the same load."""
import copy
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from experiments.evaluation.metrics.cost import gigaflop, parameters, peak_megabytes, timed
from models.cgan.discriminators import PatchConfig, build_discriminator
from models.cgan.generator import PUBLISHED, Generator
from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.networks.onnx_export import NUM_FLOAT32_CONVOLUTIONS, PortableDenoiser, export_denoiser, noisy
from models.losses.adversarial import discriminator_on_fake, discriminator_on_real, generator_loss
from models.pipelines.onnx_export import export_generator
from models.runtime.fusion import fused
from models.runtime.quantization import quantize
from models.runtime.sessions import Session, open_temporary

MAX_CALIBRATION_BATCHES = 8  # batches that determine the ranges and the error of int8


def matmul_peak(device: torch.device, dtype: torch.dtype, *, side: int = 2048, repeats: int = 5) -> float:
    """GFLOP/s of the fastest of `repeats` square matrix products."""
    first, second = torch.rand(2, side, side, device=device, dtype=dtype)
    return 2 * side ** 3 / min(timed(lambda: first @ second)[1] for _ in range(repeats + 1)) / 1e9


def _alternating(forms: Mapping[str, Callable[[], Tensor]], repeats: int) -> dict[str, float]:
    """Median seconds of each form. The forms alternate; an untimed call precedes each timed one, so that threads of the previous
    form's library are idle."""
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(repeats):
        for name, form in forms.items():
            form()
            seconds[name].append(timed(form)[1])
    return {name: statistics.median(values) for name, values in seconds.items()}


def _fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU and on a CPU with AMX; on other CPUs float32, which is 1.5 times as fast on them."""
    matrix_units = device.type == 'cuda' or torch.backends.cpu.get_cpu_capability() == 'AMX'
    return torch.bfloat16 if matrix_units else torch.float32


def swapping_figures(*, size: int, batch: int, repeats: int, compiled: bool, device: str) -> dict[str, float]:
    """Inference of SimSwap's published generator for 224 pixels.

    Plain float32 against folded batch norms, channels_last, bfloat16 where it is fast and, with `compiled`, torch.compile; on a
    CPU also against onnxruntime in int8.
    """
    torch_device = torch.device(device)
    plain = Generator(PUBLISHED['simswap-224'].model_copy(update={'size': size})).eval().requires_grad_(False).to(torch_device)
    dtype = _fast_dtype(torch_device)
    fast = fused(plain).to(dtype=dtype).to(memory_format=torch.channels_last)
    if compiled:
        fast.compile(dynamic=False)
    target = torch.rand(batch, 3, size, size, device=torch_device)
    embedding = nn.functional.normalize(torch.randn(batch, 512, device=torch_device), dim=1)
    fast_inputs = target.to(dtype, memory_format=torch.channels_last), embedding.to(dtype)
    with torch.no_grad():
        work = gigaflop(lambda: plain(target, embedding))
        forms = {'plain': lambda: plain(target, embedding), 'ours': lambda: fast(*fast_inputs)}
        if torch_device.type == 'cpu':
            int8 = _int8_session(plain, target, embedding)
            forms['int8'] = lambda: int8(target=target, identity=embedding)
        seconds = _alternating(forms, repeats)
    figures = _figures(seconds, batch, work, parameters(plain), torch_device, dtype)
    if 'int8' in seconds:
        figures |= {'int8, images/s': batch / seconds['int8'], 'int8, times as fast': seconds['plain'] / seconds['int8']}
    return figures


def _int8_session(generator: Generator, target: Tensor, embedding: Tensor) -> Session:
    def write(file: Path) -> float:
        export_generator(generator, file)
        return quantize(file, [{'target': target, 'identity': embedding}] * 2)

    return open_temporary(write)


def denoiser_figures(denoiser: Denoiser, images: Tensor, *, batch: int,
                     repeats: int = 8) -> tuple[dict[str, float], Denoiser | None]:
    """Median milliseconds per image of one evaluation of a denoiser.

    Plain, in channels_last and, on a CPU, by onnxruntime in float32 and in int8.

    Args:
        images: (N,3,S,S) in [-1,1], for the calibration of int8.
        batch: images per evaluation.

    Returns:
        Figures, with the root mean square error of int8, and the int8 denoiser or None.
    """
    generator, figures, int8_denoiser = torch.Generator().manual_seed(0), {}, None
    samples = [noisy(chunk, denoiser, generator) for chunk in images.cpu().split(batch)[:MAX_CALIBRATION_BATCHES]]
    image, timestep = samples[0]['image'].to(images.device), samples[0]['timestep'].to(images.device)
    forms = {}
    for name, layout in (('plain', torch.contiguous_format), ('channels_last', torch.channels_last)):
        network = copy.deepcopy(denoiser).to(memory_format=layout)
        forms[name] = partial(network, image.contiguous(memory_format=layout), timestep)
    if not images.is_cuda:
        def write(file: Path, *, int8: bool) -> None:
            export_denoiser(denoiser, 'face', file)
            if int8:
                figures['int8 RMSE'] = quantize(file, samples, NUM_FLOAT32_CONVOLUTIONS)

        exact, int8_denoiser = (open_temporary(partial(write, int8=int8), open_file=PortableDenoiser) for int8 in (False, True))
        forms |= {'onnxruntime': partial(exact, image, timestep), 'int8': partial(int8_denoiser, image, timestep)}
    with torch.no_grad():
        seconds = _alternating(forms, repeats)
    return {f'{name} evaluation ms': 1000 * value / len(image) for name, value in seconds.items()} | figures, int8_denoiser


def training_figures(*, size: int, batch: int, repeats: int, compiled: bool, device: str) -> dict[str, float]:
    """A training step of the published generator and discriminator for 224 pixels, with adversarial and reconstruction losses.

    Plain float32, in which each parameter group computes the swap, against channels_last, bfloat16 where it is fast, a swap that
    both groups share and, with `compiled`, torch.compile.
    """
    torch_device = torch.device(device)
    dtype = _fast_dtype(torch_device)
    target = torch.rand(batch, 3, size, size, device=torch_device) * 2 - 1
    embedding = nn.functional.normalize(torch.randn(batch, 512, device=torch_device), dim=1)
    plain, fast = (_TrainingStep(size, torch_device, share_swap=share) for share in (False, True))
    for network in (fast.generator, fast.discriminator):
        network.to(memory_format=torch.channels_last)
        if compiled:
            network.compile(dynamic=False)

    def ours() -> Tensor:
        with torch.autocast(torch_device.type, dtype, enabled=dtype != torch.float32):
            return fast.run(target.contiguous(memory_format=torch.channels_last), embedding)

    work = gigaflop(lambda: plain.run(target, embedding))
    seconds = _alternating({'plain': lambda: plain.run(target, embedding), 'ours': ours}, repeats)
    return _figures(seconds, batch, work, parameters(plain.generator) + parameters(plain.discriminator), torch_device, dtype)


class _TrainingStep:
    """The published generator and patch discriminator with their optimizers.

    Args:
        size: side of the images in pixels.
        device: device of the networks.
        share_swap: the discriminator is trained on the swap of the generator's update.
    """

    def __init__(self, size: int, device: torch.device, *, share_swap: bool):
        self.generator = Generator(PUBLISHED['simswap-224']).to(device)
        self.discriminator = build_discriminator(PatchConfig(size=size)).to(device)
        self.share_swap = share_swap
        self.optimizers = [torch.optim.Adam(network.parameters(), 4e-4, betas=(0.0, 0.99), fused=share_swap)
                           for network in (self.generator, self.discriminator)]

    def run(self, target: Tensor, embedding: Tensor) -> Tensor:
        """One update of both networks for target (B,3,H,W) in [-1,1] and embedding (B,512). Returns the discriminator's loss."""
        for index, optimizer in enumerate(self.optimizers):
            self.discriminator.requires_grad_(index == 1)
            if index == 0:
                swap = self.generator.swap(target, embedding)
                loss = generator_loss('hinge', self.discriminator(swap).logits) + 10 * (swap - target).abs().mean()
            else:
                if not self.share_swap:
                    with torch.no_grad():
                        swap = self.generator.swap(target, embedding)
                real, fake = self.discriminator(target).logits, self.discriminator(swap.detach()).logits
                loss = discriminator_on_real('hinge', real) + discriminator_on_fake('hinge', fake)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return loss.detach()


def _figures(seconds: dict[str, float], batch: int, work: float, parameter_count: int, device: torch.device,
             dtype: torch.dtype) -> dict[str, float]:
    """Figures of two forms. seconds: of each form; work: GFLOP of the plain form; dtype: of the suite's form."""
    peak = matmul_peak(device, torch.float32), matmul_peak(device, dtype)
    plain, ours = seconds['plain'], seconds['ours']
    return {'plain, images/s': batch / plain, 'ours, images/s': batch / ours, 'times as fast': plain / ours,
            'GFLOP per image': work / batch, 'million parameters': parameter_count / 1e6,
            'plain, % of peak': 100 * work / plain / peak[0], 'ours, % of peak': 100 * work / ours / peak[1],
            'peak MB of both': peak_megabytes(device)}
