"""Batch norms in training mode, many in one call, with each module's running statistics kept as it would keep them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rnas import parallel

__all__ = ["BatchNorms"]


class BatchNorms:
    """The batch norms of one pass through a cell; `update` at its end writes their running statistics."""

    def __init__(self) -> None:
        self.norms: list[nn.BatchNorm2d] = []
        self.means: list[Tensor] = []
        self.variances: list[Tensor] = []

    def __call__(self, maps: Tensor, norms: Sequence[Sequence[nn.BatchNorm2d]], scale: Tensor | None = None) -> Tensor:
        """Normalise maps by their batch statistics.

        Args:
            maps: shape (N, len(norms) * C, H, W).
            norms: the modules, without affine parameters, of each C channels; several that see the same input share it.
            scale: what to multiply the result by, shape (len(norms) * C,).

        Returns:
            Shape (N, len(norms) * C, H, W).

        Raises:
            ValueError: if there is one value a channel only.
        """
        # With momentum 1 the library puts the batch's mean and its unbiased variance where running ones would be.
        running = norms[0][0].running_mean
        assert running is not None, "the supernet's norms keep running statistics"
        mean, variance = running.new_zeros(2, maps.shape[1])  # under autocast, wider than the maps
        result = parallel.batch_norm(maps, mean, variance, scale, None, 1.0, norms[0][0].eps)
        groups = zip(norms, mean.view(len(norms), -1), variance.view(len(norms), -1), strict=True)
        for sharing, group_mean, group_variance in groups:
            self.norms.extend(sharing)
            self.means.extend([group_mean] * len(sharing))
            self.variances.extend([group_variance] * len(sharing))
        return result

    @torch.no_grad()
    def update(self) -> None:
        """Move the running statistics of all modules towards those of the batch."""
        momentum = self.norms[0].momentum
        assert momentum is not None, "the supernet's norms average exponentially"
        running_means, running_variances, counts = [], [], []
        for norm in self.norms:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            assert norm.num_batches_tracked is not None
            running_means.append(norm.running_mean)
            running_variances.append(norm.running_var)
            counts.append(norm.num_batches_tracked)
        torch._foreach_lerp_(running_means, self.means, momentum)
        torch._foreach_lerp_(running_variances, self.variances, momentum)
        torch._foreach_add_(counts, 1)
