"""Train steps and latent search in PyTorch 2, for comparison with ours.

A step computes the same as `training.step`, without the moving average, the checks for
finite values and the log.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from ml_collections import ConfigDict
from torch import Tensor, nn
from torch.nn import functional

from launch.benchmark.peer_networks import networks


def _nonsaturating(real: Tensor, fake: Tensor) -> Tensor:
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


# Losses of the critic, of real and fake scores, and of the generator, of fake scores.
_OBJECTIVES: Mapping[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "nonsaturating": (_nonsaturating, lambda fake: functional.softplus(-fake).mean()),
    "wgan": (lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
}


def _penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Return the gradient penalty of WGAN-GP, as `losses.penalties`."""
    share = torch.rand(len(real), 1, 1, 1)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return torch.square(slope.flatten(1).norm(dim=1) - 1).mean()


def make_step(
    config: ConfigDict, images: np.ndarray, compiled: bool = False
) -> Callable[[], Tensor]:
    """Return a train step: one critic update and one generator update.

    Args:
        config: Config of a pixel-conditioned or a plain GAN, with one update of each
            network per step.
        images: 8-bit images, `[count, height, width, channels]`, from which batches are
            drawn. A pixel-conditioned GAN draws a second batch for the known pixels.
        compiled: Whether to use `torch.compile`, which cannot differentiate twice.

    Returns:
        A function without arguments that trains the networks by one step per call.

    Raises:
        ValueError: If the config has a penalty, objective or schedule that this step
            lacks.
    """
    other = ("critic_penalty", "fake_penalty", "critic_clip")
    if any(config.get(key) for key in (*other, "condition_critic")):
        raise ValueError(
            "the peer has the gradient penalty only: no other penalty, no clipped "
            "weights, no conditional critic"
        )
    if (config.critic_steps, config.generator_steps) != (1, 1):
        raise ValueError("the peer updates each network once per step")
    if config.objective not in _OBJECTIVES:
        raise ValueError(f"the peer has the objectives {', '.join(_OBJECTIVES)} only")
    if compiled and config.gradient_penalty:
        raise ValueError("torch.compile cannot differentiate twice")
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
    """Return the values and the mask of random known pixels, `count` per image."""
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
    """Return a latent search with Adam for the loss of Yeh et al. 2017.

    Args:
        config: Config of the networks, which run in inference mode.
        known: Known values in [-1, 1], `[count, height, width, channels]`.
        mask: 1 where a pixel is known, `[count, height, width, 1]`.
        weights: Weights of the known pixels, `[count, height, width, 1]`.
        learning_rate: Learning rate of Adam.
        prior: Weight of the score loss.
        iterations: Iterations per image.

    Returns:
        A function without arguments that searches all images as one batch and returns
        the best losses and latents. All images run through all iterations.
    """
    generator, critic = (
        network.eval().requires_grad_(False)
        for network in networks(config, known.shape[-1])
    )
    values, is_known, weighing = (
        torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
        for array in (known, mask, weights)
    )

    def search() -> tuple[Tensor, Tensor]:
        latent = torch.randn(len(values), config.latent.size).clamp(-1, 1)
        latent.requires_grad_()
        optimizer = torch.optim.Adam([latent], learning_rate)
        best = torch.full((len(values),), torch.inf)
        best_latent = latent.detach().clone()
        for _ in range(iterations):
            image = generator(latent)
            difference = (weighing * (image - values) * is_known).abs()
            unlikely = -functional.softplus(critic(image))
            loss = difference.sum(dim=(1, 2, 3)) + prior * unlikely
            optimizer.zero_grad()
            loss.sum().backward()
            better = loss.detach() < best
            best = torch.where(better, loss.detach(), best)
            best_latent = torch.where(better[:, None], latent.detach(), best_latent)
            optimizer.step()
        return best, best_latent

    return search
