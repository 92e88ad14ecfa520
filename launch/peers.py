"""The same train step in PyTorch 2, eager, for the benchmark alone.

The networks mirror `gan_jax.networks.dcgan` layer for layer. PyTorch pads a strided
convolution on the other side than `SAME` does, so its networks see the world mirrored:
with kernels, conditions and images flipped in height and width the numbers are equal
(`parameters_from`, and a test). What a step computes is what `training.step` does but
for the moving average, the finite checks and the log, which the peer is spared.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from ml_collections import ConfigDict
from torch import Tensor, nn
from torch.nn import functional

_NEGATIVE_SLOPE = 0.2


def _normalisation(channels: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels)
    nn.init.normal_(layer.weight, 1.0, 0.02)
    return layer


class Generator(nn.Module):
    """`dcgan.generator` with a condition joined at full resolution."""

    def __init__(
        self,
        size: int,
        channels: int,
        width: int,
        depth: int,
        kernel: int,
        latent: int,
    ):
        """Builds the layers; the condition has `channels` values and a mask."""
        super().__init__()
        filters = [width * 2**level for level in reversed(range(depth + 1))]
        self.base = size // 2**depth
        self.project = nn.Linear(latent, self.base**2 * filters[0], bias=False)
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(
                before,
                after,
                kernel,
                stride=2,
                padding=(kernel - 1) // 2,
                output_padding=kernel % 2,
                bias=False,
            )
            for before, after in itertools.pairwise(filters)
        )
        self.join = nn.Conv2d(width + channels + 1, width, 3, padding=1, bias=False)
        self.paint = nn.Conv2d(width, channels, 3, padding=1)
        self.normalise = nn.ModuleList(
            _normalisation(features) for features in [*filters, width]
        )
        _initialise(self)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        """Paint images in [-1, 1] from latents and maps (values, then mask)."""
        image = self.project(latent).unflatten(1, (-1, self.base, self.base))
        image = functional.relu(self.normalise[0](image))
        for enlarge, normalise in zip(self.enlarge, self.normalise[1:], strict=False):
            image = functional.relu(normalise(enlarge(image)))
        image = self.join(torch.cat([image, condition], dim=1))
        return torch.tanh(self.paint(functional.relu(self.normalise[-1](image))))


class Critic(nn.Module):
    """`dcgan.critic` that does not see the condition."""

    def __init__(self, size: int, channels: int, width: int, depth: int, kernel: int):
        """Builds the layers."""
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
        self.normalise = nn.ModuleList(_normalisation(count) for count in filters[2:])
        self.score = nn.Linear((size // 2**depth) ** 2 * filters[-1], 1)
        _initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Score a batch of images."""
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
    """Build the peers of the networks that a config of the pixel GAN describes."""
    network, size = config.network, config.data.size
    shape = (network.depth, network.kernel)
    return (
        Generator(size, channels, network.width, *shape, config.latent.size),
        Critic(size, channels, network.critic_width, *shape),
    )


def parameters_from(
    generator: Generator,
    critic: Critic,
    ours: Mapping[str, Mapping[str, Any]],
) -> None:
    """Copy our parameters, `{"generator": ..., "critic": ...}`, into the peers.

    Everything that lies in an image's plane is flipped in height and width, as the
    peers see mirrored images.
    """
    stages = [ours["generator"][f"stages_{at}"] for at in range(len(ours["generator"]))]
    base = generator.base
    dense = np.asarray(stages[0]["Dense_0"]["kernel"])
    dense = dense.reshape(len(dense), base, base, -1)[:, ::-1, ::-1]
    _set(generator.project.weight, dense.transpose(3, 1, 2, 0).reshape(-1, len(dense)))
    for layer, stage in zip(generator.enlarge, stages[1:-2], strict=True):
        # A transposed convolution of PyTorch flips its kernel itself.
        kernel = np.asarray(stage["ConvTranspose_0"]["kernel"])
        _set(layer.weight, kernel.transpose(2, 3, 0, 1))
    _set(generator.join.weight, _mirrored(stages[-2]["Conv_0"]["kernel"]))
    _set(generator.paint.weight, _mirrored(stages[-1]["Conv_0"]["kernel"]))
    _set(generator.paint.bias, stages[-1]["Conv_0"]["bias"])
    for layer, stage in zip(generator.normalise, stages[:-1], strict=True):
        _set(layer.weight, stage["BatchNorm_0"]["scale"])
        _set(layer.bias, stage["BatchNorm_0"]["bias"])

    theirs = ours["critic"]
    for level, layer in enumerate(critic.convolve):
        _set(layer.weight, _mirrored(theirs[f"Conv_{level}"]["kernel"]))
        if level == 0:
            _set(layer.bias, theirs["Conv_0"]["bias"])
    for level, layer in enumerate(critic.normalise):
        _set(layer.weight, theirs[f"BatchNorm_{level}"]["scale"])
        _set(layer.bias, theirs[f"BatchNorm_{level}"]["bias"])
    side = round((critic.score.in_features // critic.convolve[-1].out_channels) ** 0.5)
    score = np.asarray(theirs["Dense_0"]["kernel"]).reshape(side, side, -1)
    _set(critic.score.weight, score[::-1, ::-1].transpose(2, 0, 1).reshape(1, -1))
    _set(critic.score.bias, theirs["Dense_0"]["bias"])


def _mirrored(kernel: Any) -> np.ndarray:
    return np.asarray(kernel)[::-1, ::-1].transpose(3, 2, 0, 1)


def _set(parameter: nn.Parameter, value: Any) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.array(value, np.float32)))


def make_step(config: ConfigDict, images: np.ndarray) -> Callable[[], Tensor]:
    """Make the train step: one critic update, one generator update.

    Args:
        config: of the pixel GAN with one critic step and without a critic penalty.
        images: 8-bit, count x height x width x channels; each batch is drawn from them
            twice, as real images and as the source of the known pixels.

    Returns:
        A function of nothing that trains the networks it holds, once per call.
    """
    other = ("critic_penalty", "fake_penalty", "gradient_penalty", "critic_clip")
    if any(config[key] for key in (*other, "condition_critic")):
        raise ValueError("the peer has no penalty, no box, no condition in its critic")
    if config.critic_steps != 1 or config.objective != "nonsaturating":
        raise ValueError("the peer has one critic step and the objective of DCGAN")
    generator, critic = networks(config, images.shape[-1])
    settings = config.optimizer
    optimizers = [
        torch.optim.Adam(
            network.parameters(), settings.learning_rate, (settings.beta1, 0.999)
        )
        for network in (generator, critic)
    ]
    stored = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    batch, size = config.batch_size, config.data.size

    def draw() -> Tensor:
        chosen = torch.randint(len(stored), (batch,))
        return stored[chosen].float() / 127.5 - 1.0

    def descend(network: nn.Module, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward(inputs=list(network.parameters()))
        optimizer.step()

    def step() -> Tensor:
        real, source = draw(), draw()
        lots = torch.rand(batch, size * size)
        mask = torch.zeros(batch, size * size)
        mask.scatter_(1, lots.topk(config.mask.count).indices, 1.0)
        mask = mask.view(batch, 1, size, size)
        known = source * mask
        condition = torch.cat([known, mask], dim=1)

        with torch.no_grad():
            fake = generator(torch.randn(batch, config.latent.size), condition)
        loss = functional.softplus(-critic(real)).mean()
        loss = loss + functional.softplus(critic(fake)).mean()
        descend(critic, optimizers[1], loss)

        fake = generator(torch.randn(batch, config.latent.size), condition)
        squares = torch.square(fake - known) * mask
        count = mask.sum(dim=(1, 2, 3)) * fake.shape[1]
        fidelity = squares.sum(dim=(1, 2, 3)) / count.clamp(min=1)
        loss = functional.softplus(-critic(fake)).mean()
        loss = loss + config.pixel_weight * fidelity.mean()
        descend(generator, optimizers[0], loss)
        return loss.detach()

    return step
