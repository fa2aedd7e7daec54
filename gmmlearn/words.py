"""A small vocabulary of scenes: words become attributes, or a message that lists what is known."""

import difflib
import re

from gmmlearn.scenes import MAX_TREES, SEASONS, season_of

VOCABULARY = {
    "season": {
        "winter": ("winter", "wintry"),
        "spring": ("spring", "springtime"),
        "summer": ("summer", "summery"),
        "autumn": ("autumn", "autumnal", "fall"),
    },
    "time": {
        "morning": ("morning", "dawn", "sunrise"),
        "day": ("day", "daytime", "noon", "midday", "afternoon"),
        "evening": ("evening", "dusk", "sunset", "twilight"),
        "night": ("night", "midnight", "moonlit"),
    },
    "weather": {
        "clear": ("clear", "sunny", "cloudless", "fine"),
        "cloudy": ("cloudy", "clouds", "overcast", "grey", "gray"),
        "rain": ("rain", "rainy", "raining", "wet"),
        "snow": ("snow", "snowy", "snowing", "snowfall"),
    },
}
"""Words for each level of each attribute."""

MONTHS = (
    ("january", 31),
    ("february", 28),
    ("march", 31),
    ("april", 30),
    ("may", 31),
    ("june", 30),
    ("july", 31),
    ("august", 31),
    ("september", 30),
    ("october", 31),
    ("november", 30),
    ("december", 31),
)
"""Months and their days; a month stands for its middle day, and for the season of that day."""

NUMBERS = {
    **{"no": 0, "zero": 0, "without": 0, "one": 1, "single": 1, "lone": 1, "two": 2, "pair": 2},
    **{"three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10},
}
SMALL_WORDS = frozenset("a an the of in on at and with scene picture landscape weather".split())
"""Words that change nothing."""

_MEANING = {
    word: (attribute, level)
    for attribute, levels in VOCABULARY.items()
    for level, words in levels.items()
    for word in words
}
_DAYS = {
    month: sum(days for _, days in MONTHS[:i]) + days / 2 for i, (month, days) in enumerate(MONTHS)
}


def parse(text):
    """Read what a text asks for.

    Small words are skipped. A month stands for its middle day and the season of that day. A number
    belongs to the trees; "tree" alone is one, "trees" alone two or more.

    Parameters
    ----------
    text : str
        Such as "a spring evening with two trees".

    Returns
    -------
    dict
        Some of season, time, weather (str), n_trees (int or tuple of int) and day (float in
        [0, 365)), in this order; what the text does not mention is left out.

    Raises
    ------
    ValueError
        If a word is unknown (the message lists all that are known), two words contradict each
        other, or a number does not count trees.

    Examples
    --------
    >>> parse("a spring evening with two trees")
    {'season': 'spring', 'time': 'evening', 'n_trees': 2}
    >>> parse("snowy")
    {'weather': 'snow'}
    """
    if not isinstance(text, str):
        raise ValueError(f"text must be a string, not {type(text).__name__}.")
    said, number = {}, None
    for word in re.findall(r"[^\W_]+", text.lower()):
        if word in _MEANING:
            _note(said, *_MEANING[word], word)
        elif word in _DAYS:
            _note(said, "season", SEASONS[season_of(_DAYS[word])], word)
            _note(said, "day", _DAYS[word], word)
        elif word in NUMBERS or word.isdecimal():
            if number is not None:
                raise ValueError(f"{number!r} and {word!r} follow each other: give one number.")
            number = word
        elif word in ("tree", "trees", "treeless"):
            _note(said, "n_trees", _count(number, word), word if number is None else number)
            number = None
        elif word not in SMALL_WORDS:
            raise ValueError(_unknown(word))
    if number is not None:
        raise ValueError(f"{number!r} counts nothing: only trees are counted, as in 'two trees'.")
    order = (*VOCABULARY, "n_trees", "day")
    return {attribute: said[attribute][0] for attribute in order if attribute in said}


def known_words():
    """Return what `parse` understands, in lines of text.

    Returns
    -------
    str
    """
    lines = []
    for attribute, levels in VOCABULARY.items():
        told = (
            level + (f" ({', '.join(words[1:])})" if len(words) > 1 else "")
            for level, words in levels.items()
        )
        lines.append(f"{attribute}: {', '.join(told)}")
    lines.append(f"months: {', '.join(_DAYS)}")
    lines.append(f"trees: 0 to {MAX_TREES}, as in 'no trees', 'a tree', 'two trees', '3 trees'")
    return "\n".join(lines)


def _note(said, attribute, value, word):
    """Remember what a word says of an attribute, or refuse what contradicts another word."""
    before, other = said.setdefault(attribute, (value, word))
    if before != value:
        raise ValueError(
            f"{other!r} and {word!r} contradict each other: a scene has one {attribute}. "
            "Leave one of them out."
        )


def _count(number, word):
    """Return how many trees are meant."""
    if number is None:
        return {"treeless": 0, "tree": 1, "trees": tuple(range(2, MAX_TREES + 1))}[word]
    count = NUMBERS[number] if number in NUMBERS else int(number)
    if count > MAX_TREES:
        raise ValueError(f"{number} trees are too many: a scene has 0 to {MAX_TREES}.")
    return count


def _unknown(word):
    """Return the message for a word that is not in the vocabulary."""
    words = [*_MEANING, *_DAYS, *NUMBERS, "tree", "trees"]
    nearest = difflib.get_close_matches(word, words, n=1, cutoff=0.75)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"The word {word!r} is not known.{hint} Known are\n{known_words()}"
