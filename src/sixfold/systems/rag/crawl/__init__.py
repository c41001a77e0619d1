"""The crawl: from seed URLs to WARC files.

Pure parts: links, robots, seen, limits, frontier. On disk: journal, warc, report. At the edge: fetch.
crawler drives them in one process, actors in several.
"""
