"""The moving average of weights and statistics is the sum that defines it."""

import torch
from torch import nn

from rnas.training.state import moving_average


def test_the_average_is_the_explicit_sum() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).double()
    average = moving_average(network, 0.8)
    history = []
    for _ in range(6):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        network.train()(torch.rand(4, 1, 5, 5, dtype=torch.float64))
        average.update_parameters(network)
        history.append({name: value.clone() for name, value in network.state_dict().items()})
    shares = [0.8**5] + [0.2 * 0.8 ** (5 - step) for step in range(1, 6)]
    assert abs(sum(shares) - 1) < 1e-12
    found = average.module.state_dict()
    for name in ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"):
        expected = torch.stack([share * state[name] for share, state in zip(shares, history, strict=True)]).sum(dim=0)
        torch.testing.assert_close(found[name], expected)
        assert not torch.equal(found[name], history[-1][name])
