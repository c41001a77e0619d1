"""systems/rag/live"""
