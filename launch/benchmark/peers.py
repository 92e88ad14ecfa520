"""The same train steps and latent search in PyTorch 2, for benchmarks alone.

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


def _normalisation(channels: int, kind: str = "batch") -> nn.Module:
    if kind == "layer":  # of each image alone, as flax has it
        return nn.GroupNorm(1, channels, eps=1e-6)
    layer = nn.BatchNorm2d(channels)
    nn.init.normal_(layer.weight, 1.0, 0.02)
    return layer


class Generator(nn.Module):
    """`dcgan.generator`, with a condition joined at full resolution or without one."""

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
        """Builds the layers; the condition has `channels` values and a mask."""
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
        """Paint images in [-1, 1] from latents and maps (values, then mask)."""
        image = self.project(latent).unflatten(1, (-1, self.base, self.base))
        image = functional.relu(self.normalise[0](image))
        for enlarge, normalise in zip(self.enlarge, self.normalise[1:], strict=False):
            image = functional.relu(normalise(enlarge(image)))
        if condition is not None:
            image = self.join(torch.cat([image, condition], dim=1))
            image = functional.relu(self.normalise[-1](image))
        return torch.tanh(self.paint(image))


class Critic(nn.Module):
    """`dcgan.critic` that does not see the condition."""

    def __init__(
        self,
        size: int,
        channels: int,
        width: int,
        depth: int,
        kernel: int,
        normalisation: str = "batch",
    ):
        """Builds the layers; a normalisation is by `batch` or by `layer`."""
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
    """Build the peers of DCGAN's networks that a config describes."""
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
    # Those that are left are the two of a condition, and none without one.
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

    theirs = ours["critic"]
    for level, layer in enumerate(critic.convolve):
        _set(layer.weight, _mirrored(theirs[f"Conv_{level}"]["kernel"]))
        if level == 0:
            _set(layer.bias, theirs["Conv_0"]["bias"])
    by_layer = any(name.startswith("LayerNorm") for name in theirs)
    for level, layer in enumerate(critic.normalise):
        norm = theirs[f"{'LayerNorm' if by_layer else 'BatchNorm'}_{level}"]
        _set(layer.weight, norm["scale"])
        _set(layer.bias, norm["bias"])
    side = round((critic.score.in_features // critic.convolve[-1].out_channels) ** 0.5)
    score = np.asarray(theirs["Dense_0"]["kernel"]).reshape(side, side, -1)
    _set(critic.score.weight, score[::-1, ::-1].transpose(2, 0, 1).reshape(1, -1))
    _set(critic.score.bias, theirs["Dense_0"]["bias"])


def _mirrored(kernel: Any) -> np.ndarray:
    return np.asarray(kernel)[::-1, ::-1].transpose(3, 2, 0, 1)


def _transposed(kernel: Any) -> np.ndarray:
    # A transposed convolution of PyTorch flips its kernel itself.
    return np.asarray(kernel).transpose(2, 3, 0, 1)


def _set(parameter: nn.Parameter, value: Any) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.array(value, np.float32)))


def _nonsaturating(real: Tensor, fake: Tensor) -> Tensor:
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


# What the critic minimises, of real and fake scores, and the generator, of fake ones.
_OBJECTIVES: Mapping[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "nonsaturating": (_nonsaturating, lambda fake: functional.softplus(-fake).mean()),
    "wgan": (lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
}


def _penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """How far gradients between real and fake images are from norm 1, squared."""
    share = torch.rand(len(real), 1, 1, 1)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return torch.square(slope.flatten(1).norm(dim=1) - 1).mean()


def make_step(
    config: ConfigDict, images: np.ndarray, compiled: bool = False
) -> Callable[[], Tensor]:
    """Return the train step: one critic update, one generator update.

    Args:
        config: of the pixel GAN or of a plain one, with one update of each network.
        images: 8-bit, count x height x width x channels; each batch is drawn from them,
            and under the pixel GAN another one as the source of the known pixels.
        compiled: by `torch.compile`, which cannot differentiate twice.

    Returns:
        A function of nothing that trains the networks it holds, once per call.
    """
    other = ("critic_penalty", "fake_penalty", "critic_clip")
    if any(config.get(key) for key in (*other, "condition_critic")):
        raise ValueError("the peer has no box, one penalty, no condition in its critic")
    if (config.critic_steps, config.generator_steps) != (1, 1):
        raise ValueError("the peer updates each network once in a step")
    if config.objective not in _OBJECTIVES:
        raise ValueError(f"the peer's objectives are {', '.join(_OBJECTIVES)}")
    if compiled and config.gradient_penalty:
        raise ValueError("torch.compile does not differentiate twice")
    generator, critic = networks(config, images.shape[-1])
    settings = config.optimizer
    optimizers = [
        torch.optim.Adam(
            network.parameters(),
            settings.learning_rate,
            (settings.beta1, settings.beta2),
        )
        for network in (generator, critic)
    ]
    critic_loss, generator_loss = _OBJECTIVES[config.objective]
    stored = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    batch = config.batch_size
    paint, score = (
        torch.compile(network) if compiled else network
        for network in (generator, critic)
    )

    def draw() -> Tensor:
        chosen = torch.randint(len(stored), (batch,))
        return stored[chosen].float() / 127.5 - 1.0

    def latent() -> Tensor:
        return torch.randn(batch, config.latent.size)

    def descend(network: nn.Module, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward(inputs=list(network.parameters()))
        optimizer.step()

    def step() -> Tensor:
        real = draw()
        known = _known(draw(), config.mask.count) if config.task == "pixels" else None
        condition = None if known is None else torch.cat(known, dim=1)

        with torch.no_grad():
            fake = paint(latent(), condition)
        loss = critic_loss(score(real), score(fake))
        if config.gradient_penalty:
            loss = loss + config.gradient_penalty * _penalty(critic, real, fake)
        descend(critic, optimizers[1], loss)

        fake = paint(latent(), condition)
        loss = generator_loss(score(fake))
        if known is not None:
            loss = loss + config.pixel_weight * _fidelity(fake, *known)
        descend(generator, optimizers[0], loss)
        return loss.detach()

    return step


def _known(source: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Draw so many known pixels of each image: their values, and the mask."""
    batch, _, height, width = source.shape
    mask = torch.zeros(batch, height * width)
    mask.scatter_(1, torch.rand(mask.shape).topk(count).indices, 1.0)
    mask = mask.view(batch, 1, height, width)
    return source * mask, mask


def _fidelity(image: Tensor, known: Tensor, mask: Tensor) -> Tensor:
    squares = torch.square(image - known) * mask
    count = mask.sum(dim=(1, 2, 3)) * image.shape[1]
    return (squares.sum(dim=(1, 2, 3)) / count.clamp(min=1)).mean()


def make_search(
    config: ConfigDict,
    known: np.ndarray,
    mask: np.ndarray,
    weights: np.ndarray,
    learning_rate: float,
    prior: float,
    iterations: int,
) -> Callable[[], tuple[Tensor, Tensor]]:
    """Make a latent search with Adam: weighted context, and the prior of Yeh et al.

    Args:
        config: of the networks, in inference.
        known: images in [-1, 1], count x height x width x channels.
        mask: 1 where a pixel is known, count x height x width x 1.
        weights: of known pixels.
        learning_rate: of Adam.
        prior: weight of the critic's score.
        iterations: of each image.

    Returns:
        A function of nothing that searches all images as one batch, and gives the best
        losses and latents; one that converges early stays until the end.
    """
    generator, critic = (
        network.eval().requires_grad_(False)
        for network in networks(config, known.shape[-1])
    )
    values, given, weighing = (
        torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
        for array in (known, mask, weights)
    )

    def search() -> tuple[Tensor, Tensor]:
        latent = torch.randn(len(values), config.latent.size).clamp(-1, 1)
        latent.requires_grad_()
        optimizer = torch.optim.Adam([latent], learning_rate)
        best = torch.full((len(values),), torch.inf)
        kept = latent.detach().clone()
        for _ in range(iterations):
            image = generator(latent)
            difference = (weighing * (image - values) * given).abs()
            unlikely = -functional.softplus(critic(image))
            loss = difference.sum(dim=(1, 2, 3)) + prior * unlikely
            optimizer.zero_grad()
            loss.sum().backward()
            better = loss.detach() < best
            best = torch.where(better, loss.detach(), best)
            kept = torch.where(better[:, None], latent.detach(), kept)
            optimizer.step()
        return best, kept

    return search
