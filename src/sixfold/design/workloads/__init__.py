"""The kinds of workload that can be designed, by the names that specs use."""

from __future__ import annotations

from importlib import import_module

from sixfold.design.workload import Workload
from sixfold.errors import ConfigError

__all__ = ["KINDS", "workload_class"]

KINDS = {
    "text-retrieval": ("text_retrieval", "TextRetrieval"),
    "federated-learning": ("federated_learning", "FederatedLearning"),
    "recommendation": ("recommendation", "Recommendation"),
    "swarm": ("swarm", "Swarm"),
    "agents": ("agents", "Agents"),
    "model-training": ("model_training", "ModelTraining"),
    "model-serving": ("model_serving", "ModelServing"),
    "online-inference": ("online_inference", "OnlineInference"),
    "data-parallel": ("data_parallel", "DataParallel"),
}


def workload_class(kind: str) -> type[Workload]:
    """The class of a kind. Raises ConfigError for an unknown one; the text lists those that there are."""
    if kind not in KINDS:
        raise ConfigError(f"got kind {kind!r}, expected one of {', '.join(KINDS)}")
    module, name = KINDS[kind]
    found: type[Workload] = getattr(import_module(f"sixfold.design.workloads.{module}"), name)
    return found
