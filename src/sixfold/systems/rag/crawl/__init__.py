"""systems/rag/crawl"""
