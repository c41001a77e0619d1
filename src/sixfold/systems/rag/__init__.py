"""systems/rag"""
