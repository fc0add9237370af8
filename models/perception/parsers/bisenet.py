"""BiSeNet for face parsing (Yu et al. 2018, arXiv:1808.00897), tensor names and outputs equal to
zllrunning/face-parsing.PyTorch; facexlib's parsing_bisenet.pth has the same tensors.
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18


class _ConvNorm(nn.Module):
    def __init__(self, width: int, out: int, kernel: int = 3):
        super().__init__()
        self.conv = nn.Conv2d(width, out, kernel, 1, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class _Refinement(nn.Module):
    """Attention refinement: a 3x3 unit times a gate computed from its global average."""

    def __init__(self, width: int, out: int):
        super().__init__()
        self.conv = _ConvNorm(width, out)
        self.conv_atten = nn.Conv2d(out, out, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * self.bn_atten(self.conv_atten(x.mean((2, 3), keepdim=True))).sigmoid()


class _Fusion(nn.Module):
    """Feature fusion: a 1x1 unit over both maps, times 1 + a gate computed from its global average."""

    def __init__(self, width: int):
        super().__init__()
        self.convblk = _ConvNorm(width, width, 1)
        self.conv1 = nn.Conv2d(width, width // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(width // 4, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.convblk(x)
        gate = self.conv2(F.relu(self.conv1(x.mean((2, 3), keepdim=True)))).sigmoid()
        return x * gate + x


class _Head(nn.Module):
    def __init__(self, width: int, inner: int, classes: int):
        super().__init__()
        self.conv = _ConvNorm(width, inner)
        self.conv_out = nn.Conv2d(inner, classes, 1, bias=False)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        return F.interpolate(self.conv_out(self.conv(x)), size=size, mode='bilinear', align_corners=True)


class _ContextPath(nn.Module):
    """ResNet-18 with attention refinement: (B,3,H,W) -> maps of 128 channels at 1/8 (trunk), 1/8 and 1/16 (context)."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = resnet18(weights=None)
        del self.resnet.fc
        self.arm16 = _Refinement(256, 128)
        self.arm32 = _Refinement(512, 128)
        self.conv_head32 = _ConvNorm(128, 128)
        self.conv_head16 = _ConvNorm(128, 128)
        self.conv_avg = _ConvNorm(512, 128, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        trunk = self.resnet
        x = trunk.layer1(trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(x)))))
        at_8 = trunk.layer2(x)
        at_16 = trunk.layer3(at_8)
        at_32 = trunk.layer4(at_16)
        context = self.arm32(at_32) + self.conv_avg(at_32.mean((2, 3), keepdim=True))
        context_16 = self.conv_head32(F.interpolate(context, size=at_16.shape[2:]))
        context_8 = self.conv_head16(F.interpolate(self.arm16(at_16) + context_16, size=at_8.shape[2:]))
        return at_8, context_8, context_16


class BiSeNet(nn.Module):
    """(B,3,H,W) RGB, normalized by the ImageNet statistics -> three logit maps (B,classes,H,W): the prediction, and auxiliary
    maps from 1/8 and 1/16 for the training loss. The published class order differs from models.batch.PARTS."""

    def __init__(self, classes: int = 19):
        super().__init__()
        self.cp = _ContextPath()
        self.ffm = _Fusion(256)
        self.conv_out = _Head(256, 256, classes)
        self.conv_out16 = _Head(128, 64, classes)
        self.conv_out32 = _Head(128, 64, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        size = x.shape[2:]
        trunk, context_8, context_16 = self.cp(x)
        fused = self.ffm(torch.cat([trunk, context_8], 1))
        return self.conv_out(fused, size), self.conv_out16(context_8, size), self.conv_out32(context_16, size)
