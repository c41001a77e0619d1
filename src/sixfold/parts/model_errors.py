"""What can go wrong with a model that another process or machine serves.

SixfoldError
└── ModelError
    ├── ModelUnavailableError   nobody answers, or it says that it cannot now; later it may
    ├── ModelTimeoutError       it did not answer within the deadline
    ├── ModelRequestError       it refused what was asked, and would refuse it again
    └── ModelAnswerError        what it sent is not an answer: malformed, cut off, too large
"""

from __future__ import annotations

from sixfold.errors import SixfoldError

__all__ = ["ModelAnswerError", "ModelError", "ModelRequestError", "ModelTimeoutError", "ModelUnavailableError"]


class ModelError(SixfoldError):
    """The root of the tree; its text never holds the key."""


class ModelUnavailableError(ModelError):
    """Nobody answers there, or the endpoint says that it cannot now."""

    def __init__(self, message: str, *, retry_after_s: float | None = None, transient: bool = True) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s  # as the endpoint asked; None: it did not
        self.transient = transient  # the same request may be answered in a moment


class ModelTimeoutError(ModelError):
    """There was no answer, or not all of it, within the deadline."""


class ModelRequestError(ModelError):
    """The endpoint refused the request: a wrong key, an unknown model, a prompt that is too long."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status  # of HTTP


class ModelAnswerError(ModelError):
    """What came is not an answer: malformed, cut off, larger than allowed, or not of the shape asked for."""
