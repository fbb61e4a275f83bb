"""How answers are made: documents to passages, passages to answers.

This package knows no chat platform and no ratings. Start with `pipeline.answering`.
"""
