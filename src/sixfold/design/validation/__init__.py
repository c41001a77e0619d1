"""How well the laws predict what others have measured and published: `sixfold design validate`."""
