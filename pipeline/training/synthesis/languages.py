"""Which language a text is in, by its function words: enough to notice that a generator changed the language."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

_WORDS = {
    "en": "the of and to is that it for are with what how which does when not by this from can",
    "de": "der die das und ist nicht ein eine wie dem den mit für auf von sich welche wenn wird",
    "fr": "le les et est une dans pour pas sur du au comment quel quelle avec ce sont",
    "es": "el los las y es una por para con cómo qué cuál del lo su más",
    "it": "il gli di è che per non della come quale sono nel alla più",
    "pt": "os em uma para não como qual são pelo mais ao",
    "nl": "het een en van dat niet wat hoe voor op zijn welke wordt",
}
"""Words that English has, too (`die`, `in`, `no`, `do`, `van`), prove little, so that two of a language are needed."""
_OF_WORD: dict[str, list[str]] = {}
for _language, _words in _WORDS.items():
    for _word in _words.split():
        _OF_WORD.setdefault(_word, []).append(_language)
_ENOUGH = 2
"""Different words of a language that must stand in a text, and twice as many as of any other language."""


@lru_cache(maxsize=20_000)
def language(text: str) -> str:
    """`en`, `de`, …; empty where the text does not tell clearly.

    >>> language("How long is the window?"), language("Wie lang ist das Fenster?"), language("stall_ratio")
    ('en', 'de', '')
    """
    counts = Counter(found for word in set(re.findall(r"[^\W\d_]+", text.lower())) for found in _OF_WORD.get(word, ()))
    ranked = counts.most_common(2)
    if not ranked or ranked[0][1] < _ENOUGH:
        return ""
    return ranked[0][0] if len(ranked) == 1 or ranked[0][1] >= 2 * ranked[1][1] else ""
