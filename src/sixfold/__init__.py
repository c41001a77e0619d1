"""Sixfold designs distributed AI systems and runs five complete ones."""

__version__ = "0.1.0"
