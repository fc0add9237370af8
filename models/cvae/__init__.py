"""Conditional variational auto-encoder for face swapping: the target's pose, expression and light pass through a spatial latent,
its background and parsing map through skips, the source's identity through AdaIN.

| term           | formula                                                        | where                      |
| -------------- | -------------------------------------------------------------- | -------------------------- |
| reconstruction | mean abs(swap - target)                                        | same person                |
| perceptual     | L1 of the teacher's inner maps of swap and target              | same person                |
| kl             | KL(q(z given target) || N(0,1)) per value, warm-up, free bits  | all                        |
| identity       | 1 - cos(teacher(swap), teacher(source))                        | all                        |
| background     | mean abs(swap - target) outside the target's face mask         | all                        |
| parsing        | cross entropy of the swap's parsing with the target's, in face | different people           |
| shading        | L1 of mean colours in an 8x8 grid, in face                     | different people           |

Two traps, both measured: with a path that shows the decoder the target's face at full resolution it copies the target and the
identity loss stays at 1.0; without any path for the background a small budget goes into redrawing it. Hence the face passes only
through the latent (and the label map of its parts), and everything around it is handed over.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

from models.base import NOTE_EVERY, Family, FamilyConfig, Perception
from models.batch import PARTS, SwapBatch
from models.blocks.background import BackgroundPath
from models.blocks.folding import folded, folded_channels
from models.cvae.network import Decoder, Encoder
from models.losses.background import background_l1
from models.losses.identity import identity_distance
from models.losses.kl import kl_divergence, reparametrise
from models.losses.perceptual import parsing_agreement, perceptual_l1
from models.losses.reconstruction import reconstruction_l1, shading_l1
from models.perception.parsing import face_mask

_MAPS = 2  # how many of the teacher's maps the perceptual term compares


class CVAEConfig(FamilyConfig):
    """size: side of the pictures, a multiple of fold * 2^(len(widths) - 1), which is the number of pixels per latent cell.
    fold: power of 2 by which pictures are folded into channels. widths: channels at 1/fold, 1/(2 fold), ... of the size. depth:
    AdaIN blocks per resolution. latent: channels of the latent. style: width of the mapped identity. identity: length of the
    identity vector. margin: pixels, for a picture of 128, by which the face mask is widened before the background is handed
    over. parsing: give encoder and decoder the target's parsing map. kl_warmup: steps until the KL term has its whole weight;
    free_bits in nats per latent value."""

    size: int = 96
    fold: int = 4
    widths: tuple[int, ...] = (64, 112, 160)
    depth: int = 2
    latent: int = 16
    style: int = 128
    background: int = 32
    identity: int = 128
    margin: int = 3
    parsing: bool = True
    kl_warmup: int = 2000
    free_bits: float = 0.05
    weights: dict[str, float] = {'reconstruction': 8.0, 'perceptual': 2.0, 'kl': 0.1, 'identity': 9.0, 'background': 8.0,
                                 'parsing': 0.3, 'shading': 2.0}


class CVAE(Family):
    """Swaps faces in the template `face`; the perception needs an identity encoder, a teacher and a parser."""

    def __init__(self, config: CVAEConfig, perception: Perception | None):
        super().__init__(config, perception)
        self.cell = config.fold * 2 ** (len(config.widths) - 1)
        if config.fold not in (2, 4, 8) or config.size % self.cell:
            raise ValueError(f'size {config.size} does not fit fold {config.fold} and {len(config.widths)} widths: '
                             f'take fold 2, 4 or 8 and a size that is a multiple of {self.cell}')
        channels = folded_channels(len(PARTS) if config.parsing else 1, config.fold)
        self.encoder = Encoder(channels, config.widths, config.latent)
        self.background = BackgroundPath(channels, config.background, len(config.widths))
        self.decoder = Decoder(config.latent, config.identity, config.style, config.widths, config.depth, config.background,
                               config.fold)

    def players(self):
        return {'swapper': list(self.parameters())}

    def averaged(self):
        return {'encoder': self.encoder, 'background': self.background, 'decoder': self.decoder}

    def labels(self, batch: SwapBatch) -> Tensor:
        """(B,H,W) parsing labels of the target: the batch's own, or the parser's."""
        if batch.target_parsing is not None:
            return batch.target_parsing
        with torch.no_grad():
            return self.perception.parser.labels(batch.target)

    def identities(self, batch: SwapBatch) -> Tensor:
        """(B,D) unit length."""
        if batch.source_identity is not None:
            return batch.source_identity
        with torch.no_grad():
            return self.perception.identity(batch.source)

    def widened(self, face: Tensor) -> Tensor:
        """The face mask (B,1,H,W) grown by the margin: what is hidden from the background path."""
        grow = max(1, round(self.config.margin * self.config.size / 128))
        return F.max_pool2d(face, 2 * grow + 1, 1, grow)

    def conditions(self, target: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the networks are told: shape (B,19 or 1,H,W), plate (B,3,H,W), face (B,1,H,W)."""
        face = face_mask(labels)
        plate = target * (1 - self.widened(face))
        shape = F.one_hot(labels, len(PARTS)).permute(0, 3, 1, 2).to(target.dtype) if self.config.parsing else face
        return shape, plate, face

    def forward(self, player: str, batch: SwapBatch, step: int) -> dict[str, Tensor]:
        labels = self.labels(batch)
        shape, plate, face = self.conditions(batch.target, labels)
        mean, logvar = self.encoder(folded(batch.target, shape, self.config.fold))
        maps = self.background(folded(plate, shape, self.config.fold))
        identity = self.identities(batch)
        swap = self.decoder(reparametrise(mean, logvar), identity, maps, plate)

        same, other, terms = batch.same, ~batch.same, {}
        if self.wants('reconstruction'):
            terms['reconstruction'] = reconstruction_l1(swap, batch.target, same)
        if self.wants('kl'):
            warm = min(1.0, (step + 1) / max(1, self.config.kl_warmup))
            terms['kl'] = warm * kl_divergence(mean, logvar, free_bits=self.config.free_bits)
        terms |= self.seen_by_teacher(swap, batch, identity, step)
        if self.wants('background'):
            terms['background'] = background_l1(swap, batch.target, face)
        different = other.to(face.dtype)[:, None, None, None] * face
        if self.wants('parsing'):
            terms['parsing'] = parsing_agreement(self.perception.parser(swap), labels, different)
        if self.wants('shading'):
            terms['shading'] = shading_l1(swap, batch.target, different)
        return terms

    def seen_by_teacher(self, swap: Tensor, batch: SwapBatch, given: Tensor, step: int) -> dict[str, Tensor]:
        """The terms `identity` and `perceptual`, with one pass of the teacher over the swap (B,3,H,W). given: the identities that
        the swap was made with, which are the wanted ones where one network is both encoder and teacher."""
        teacher, terms = self.perception.teacher, {}
        if self.wants('perceptual'):
            identity, maps = teacher.identity_and_maps(swap, _MAPS)
            with torch.no_grad():
                answers = teacher.maps(batch.target, _MAPS)
            terms['perceptual'] = perceptual_l1(maps, answers, batch.same)
        elif self.wants('identity'):
            identity = teacher(swap)
        if self.wants('identity'):
            with torch.no_grad():
                wanted = given if teacher is self.perception.identity else teacher(batch.source)
            terms['identity'] = identity_distance(identity, wanted)
            if step % NOTE_EVERY == 0:
                self.note_likeness(identity, wanted, batch)
        return terms

    @torch.no_grad()
    def swap(self, batch: SwapBatch, latent: Tensor | None = None) -> Tensor:
        """(B,3,H,W) with the latent given, or with the mean that the encoder finds in the target."""
        shape, plate, _ = self.conditions(batch.target, self.labels(batch))
        if latent is None:
            latent = self.encoder(folded(batch.target, shape, self.config.fold))[0]
        maps = self.background(folded(plate, shape, self.config.fold))
        return self.decoder(latent, self.identities(batch), maps, plate).clamp(-1, 1)

    def generate(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        return self.swap(batch)

    def sample(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        """(B,3,H,W): the latent drawn from the prior N(0,1), so that light and expression vary under a fixed identity."""
        side = self.config.size // self.cell
        shape = len(batch), self.config.latent, side, side
        latent = torch.randn(shape, generator=generator, device=batch.target.device, dtype=batch.target.dtype)
        return self.swap(batch, latent)
