"""The numpy reference says the same as torch, layer by layer."""

from __future__ import annotations

import numpy as np
import pytest

from signals.plan import PlanBuilder, evaluate

torch = pytest.importorskip("torch", reason="torch is in the extra `train`")
RNG = np.random.default_rng(11)


def arr(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def run(build, **inputs: np.ndarray) -> np.ndarray:
    b = PlanBuilder()
    handles = {k: b.input(k, *v.shape) for k, v in inputs.items()}
    b.output("y", build(b, **handles))
    return evaluate(b.build(), inputs)["y"]


def close(ours: np.ndarray, theirs) -> None:
    np.testing.assert_allclose(ours, theirs.detach().double().numpy(), rtol=0, atol=1e-12)


def double(module):
    return module.double().eval()


def np32(t) -> np.ndarray:
    return t.detach().float().numpy()


@pytest.mark.parametrize(
    "kind", ["relu", "tanh", "sigmoid", "gelu", "elu", "softplus", "silu", "exp", "abs", "square"]
)
def test_activations_are_those_of_torch(kind) -> None:
    x = arr(3, 7) * 4
    functional = {"exp": torch.exp, "abs": torch.abs, "square": torch.square}
    theirs = functional.get(kind) or getattr(torch.nn.functional, kind)
    if kind == "softplus":
        theirs = lambda t: torch.nn.functional.softplus(t, threshold=1e9)  # noqa: E731
    close(run(lambda b, x: b.activation(x, kind), x=x), theirs(torch.tensor(x).double()))


def test_conv1d_is_a_left_padded_torch_convolution() -> None:
    conv = torch.nn.Conv1d(5, 7, 3, dilation=4).float()
    x = arr(20, 5)
    padded = torch.nn.functional.pad(torch.tensor(x).double().T[None], (8, 0))
    weight, bias = np32(conv.weight.permute(2, 1, 0)), np32(conv.bias)
    close(
        run(lambda b, x: b.conv1d(x, weight, bias, dilation=4), x=x),
        double(conv)(padded)[0].T,
    )


def test_lstm_and_cell_are_those_of_torch() -> None:
    net = torch.nn.LSTM(4, 6, batch_first=True)
    wx, wh = np32(net.weight_ih_l0).T, np32(net.weight_hh_l0).T
    bias = net.bias_ih_l0 + net.bias_hh_l0
    with torch.no_grad():
        net.bias_ih_l0.copy_(bias)
        net.bias_hh_l0.zero_()
    x = arr(9, 4)
    theirs, _ = double(net)(torch.tensor(x).double()[None])
    close(run(lambda b, x: b.lstm(x, wx, wh, np32(bias))[0], x=x), theirs[0])

    def cells(b: PlanBuilder, x):
        h = c = b.constant(np.zeros((1, 6)))
        for t in range(9):
            h, c = b.lstm_cell(b.rows(x, t, 1), h, c, wx, wh, np32(bias))
        return h

    close(run(cells, x=x), theirs[0, -1:])


def test_attention_is_that_of_torch() -> None:
    q, k, v = arr(3, 8), arr(5, 8), arr(5, 6)
    tq, tk, tv = (torch.tensor(t).double()[None] for t in (q, k, v))
    plain = torch.nn.functional.scaled_dot_product_attention(tq, tk, tv)[0]
    close(run(lambda b, q, k, v: b.attention(q, k, v), q=q, k=k, v=v), plain)
    mask = torch.ones(3, 5, dtype=torch.bool).tril(diagonal=2)
    causal = torch.nn.functional.scaled_dot_product_attention(tq, tk, tv, attn_mask=mask)[0]
    close(run(lambda b, q, k, v: b.attention(q, k, v, causal=True), q=q, k=k, v=v), causal)


def test_layer_norm_glu_and_sort_are_those_of_torch() -> None:
    norm = torch.nn.LayerNorm(6)
    gamma, beta, x = arr(6), arr(6), arr(4, 6)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(gamma))
        norm.bias.copy_(torch.tensor(beta))
    tx = torch.tensor(x).double()
    # eps is a float32 constant in torch's parameters and a float64 one here: same value
    close(run(lambda b, x: b.layer_norm(x, gamma, beta), x=x), double(norm)(tx))
    close(run(lambda b, x: b.glu(x), x=x), torch.nn.functional.glu(tx))
    close(run(lambda b, x: b.sort(x), x=x), tx.sort(dim=1).values)
