"""systems/rag/index"""
