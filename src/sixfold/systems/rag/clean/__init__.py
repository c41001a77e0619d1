"""systems/rag/clean"""
