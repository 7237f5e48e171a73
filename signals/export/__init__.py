"""From a trained torch model to a bundle; the only part of serving that needs torch."""

from signals.export.training import bundle_from_training, draft_from_training

__all__ = ["bundle_from_training", "draft_from_training"]
