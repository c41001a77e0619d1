"""The crawl: from seed URLs to WARC files.

Pure parts: links, robots, seen, limits, frontier. On disk: journal, warc, report. At the edge: fetch.
worker drives them; crawler runs one worker, actors several that talk through exchange.
"""
