"""DCGAN's networks in PyTorch 2, as in `gan_jax.networks.dcgan`.

PyTorch pads a strided convolution on the opposite side of `SAME` padding. With kernels,
conditions and images flipped in height and width, both libraries compute equal numbers
(`parameters_from`, and a test).
"""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ml_collections import ConfigDict
from torch import Tensor, nn
from torch.nn import functional

_NEGATIVE_SLOPE = 0.2


def _normalisation(channels: int, kind: str = "batch") -> nn.Module:
    if kind == "layer":  # over each image alone, as in flax
        return nn.GroupNorm(1, channels, eps=1e-6)
    layer = nn.BatchNorm2d(channels)
    nn.init.normal_(layer.weight, 1.0, 0.02)
    return layer


class Generator(nn.Module):
    """Peer of `dcgan.generator`, with or without a condition."""

    def __init__(
        self,
        size: int,
        channels: int,
        width: int,
        depth: int,
        kernel: int,
        latent: int,
        conditional: bool = True,
    ):
        """Build the layers; a condition consists of `channels` values and a mask."""
        super().__init__()
        levels = range(depth + conditional)
        filters = [width * 2**level for level in reversed(levels)]
        self.base = size // 2**depth

        def larger(before: int, after: int, bias: bool) -> nn.Module:
            return nn.ConvTranspose2d(
                before,
                after,
                kernel,
                stride=2,
                padding=(kernel - 1) // 2,
                output_padding=kernel % 2,
                bias=bias,
            )

        self.project = nn.Linear(latent, self.base**2 * filters[0], bias=False)
        self.enlarge = nn.ModuleList(
            larger(*pair, bias=False) for pair in itertools.pairwise(filters)
        )
        normalised = list(filters)
        if conditional:
            self.join = nn.Conv2d(width + channels + 1, width, 3, padding=1, bias=False)
            self.paint = nn.Conv2d(width, channels, 3, padding=1)
            normalised.append(width)
        else:
            self.paint = larger(width, channels, bias=True)
        self.normalise = nn.ModuleList(map(_normalisation, normalised))
        _initialise(self)

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return images in [-1, 1] of latents and conditions (values, then mask)."""
        image = self.project(latent).unflatten(1, (-1, self.base, self.base))
        image = functional.relu(self.normalise[0](image))
        for enlarge, normalise in zip(self.enlarge, self.normalise[1:], strict=False):
            image = functional.relu(normalise(enlarge(image)))
        if condition is not None:
            image = self.join(torch.cat([image, condition], dim=1))
            image = functional.relu(self.normalise[-1](image))
        return torch.tanh(self.paint(image))


class Critic(nn.Module):
    """Peer of the unconditional `dcgan.critic`."""

    def __init__(
        self,
        size: int,
        channels: int,
        width: int,
        depth: int,
        kernel: int,
        normalisation: str = "batch",
    ):
        """Build the layers; the normalisation is `batch` or `layer`."""
        super().__init__()
        filters = [channels, *(width * 2**level for level in range(depth))]
        self.convolve = nn.ModuleList(
            nn.Conv2d(
                before, after, kernel, stride=2, padding=(kernel - 1) // 2, bias=first
            )
            for before, after, first in zip(
                filters, filters[1:], [True] + [False] * (depth - 1), strict=False
            )
        )
        self.normalise = nn.ModuleList(
            _normalisation(count, normalisation) for count in filters[2:]
        )
        self.score = nn.Linear((size // 2**depth) ** 2 * filters[-1], 1)
        _initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return the score of each image."""
        for level, convolve in enumerate(self.convolve):
            image = convolve(image)
            if level:
                image = self.normalise[level - 1](image)
            image = functional.leaky_relu(image, _NEGATIVE_SLOPE)
        return self.score(image.flatten(1)).squeeze(1)


def _initialise(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def networks(config: ConfigDict, channels: int) -> tuple[Generator, Critic]:
    """Return the generator and the critic of a config."""
    network, size = config.network, config.data.size
    shape = (network.depth, network.kernel)
    conditional = config.task == "pixels"
    return (
        Generator(
            size, channels, network.width, *shape, config.latent.size, conditional
        ),
        Critic(
            size, channels, network.critic_width, *shape, network.critic_normalisation
        ),
    )


def parameters_from(
    generator: Generator,
    critic: Critic,
    parameters: Mapping[str, Mapping[str, Any]],
) -> None:
    """Copy our parameters into the peers.

    All arrays with height and width are flipped along both.

    Args:
        generator: Generator to copy into.
        critic: Critic to copy into.
        parameters: Our parameters, `{"generator": ..., "critic": ...}`.
    """
    stages = [
        parameters["generator"][f"stages_{at}"]
        for at in range(len(parameters["generator"]))
    ]
    base = generator.base
    dense = np.asarray(stages[0]["Dense_0"]["kernel"])
    dense = dense.reshape(len(dense), base, base, -1)[:, ::-1, ::-1]
    _set(generator.project.weight, dense.transpose(3, 1, 2, 0).reshape(-1, len(dense)))
    # The stages that remain are the two of a condition, or none without one.
    for layer, stage in zip(generator.enlarge, stages[1:-1], strict=False):
        _set(layer.weight, _transposed(stage["ConvTranspose_0"]["kernel"]))
    if isinstance(generator.paint, nn.Conv2d):
        _set(generator.join.weight, _mirrored(stages[-2]["Conv_0"]["kernel"]))
        _set(generator.paint.weight, _mirrored(stages[-1]["Conv_0"]["kernel"]))
        _set(generator.paint.bias, stages[-1]["Conv_0"]["bias"])
    else:
        last = stages[-1]["ConvTranspose_0"]
        _set(generator.paint.weight, _transposed(last["kernel"]))
        _set(generator.paint.bias, last["bias"])
    for layer, stage in zip(generator.normalise, stages[:-1], strict=True):
        _set(layer.weight, stage["BatchNorm_0"]["scale"])
        _set(layer.bias, stage["BatchNorm_0"]["bias"])

    critic_parameters = parameters["critic"]
    for level, layer in enumerate(critic.convolve):
        _set(layer.weight, _mirrored(critic_parameters[f"Conv_{level}"]["kernel"]))
        if level == 0:
            _set(layer.bias, critic_parameters["Conv_0"]["bias"])
    by_layer = any(name.startswith("LayerNorm") for name in critic_parameters)
    for level, layer in enumerate(critic.normalise):
        norm = critic_parameters[f"{'LayerNorm' if by_layer else 'BatchNorm'}_{level}"]
        _set(layer.weight, norm["scale"])
        _set(layer.bias, norm["bias"])
    side = round((critic.score.in_features // critic.convolve[-1].out_channels) ** 0.5)
    score = np.asarray(critic_parameters["Dense_0"]["kernel"]).reshape(side, side, -1)
    _set(critic.score.weight, score[::-1, ::-1].transpose(2, 0, 1).reshape(1, -1))
    _set(critic.score.bias, critic_parameters["Dense_0"]["bias"])


def _mirrored(kernel: Any) -> np.ndarray:
    return np.asarray(kernel)[::-1, ::-1].transpose(3, 2, 0, 1)


def _transposed(kernel: Any) -> np.ndarray:
    # PyTorch flips the kernel of a transposed convolution itself.
    return np.asarray(kernel).transpose(2, 3, 0, 1)


def _set(parameter: nn.Parameter, value: Any) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.array(value, np.float32)))
