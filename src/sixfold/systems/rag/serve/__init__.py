"""The fleet that answers: gateway, shards, encoder, language model."""
