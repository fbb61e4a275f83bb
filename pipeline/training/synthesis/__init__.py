"""Synthesis: documents -> training rows, by rules, from questions that are given, and by a language model.

    pages -> examples (rules, seeds, generation) -> filters -> rows, pairs -> files

`session.py` is the page to read.
"""
