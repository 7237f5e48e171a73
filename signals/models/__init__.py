"""Forecasters: linear, MLP, LSTM, TCN, N-BEATS, TFT and DeepAR behind one specification.

Importing this package does not import torch; `signals.models.build` does.
"""

from signals.models.spec import DECILES, ModelSpec

__all__ = ["DECILES", "ModelSpec"]
