"""Inference plans: a model as data, checked, without torch."""

from signals.plan.builder import PlanBuilder, Tensor
from signals.plan.graph import Array, Node, Plan
from signals.plan.reference import evaluate

__all__ = ["Array", "Node", "Plan", "PlanBuilder", "Tensor", "evaluate"]
