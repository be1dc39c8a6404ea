"""RE2 patterns, as declarations hold them, written so that Java's ``java.util.regex`` finds the same texts.

RE2's syntax (https://github.com/google/re2/wiki/Syntax) is read piece by piece; what Java reads otherwise is spelled
out: classes with escapes, ends of lines and words, repetition braces that are only text, flags.
"""

from __future__ import annotations

import re

from ..errors import SourceError

_WORD = "0-9A-Za-z_"
_AT_WORD = f"(?-iu:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))"
_NOT_AT_WORD = f"(?-iu:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))"
_CLASSES = {"d": "0-9", "w": _WORD, "s": "\\t\\n\\f\\r\\x20"}
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\\x00-\\x7F",
    "blank": "\\t\\x20",
    "cntrl": "\\x00-\\x1F\\x7F",
    "digit": "0-9",
    "graph": "\\x21-\\x7E",
    "lower": "a-z",
    "print": "\\x20-\\x7E",
    "punct": "\\x21-\\x2F\\x3A-\\x40\\x5B-\\x60\\x7B-\\x7E",
    "space": "\\t\\n\\x0B\\f\\r\\x20",
    "upper": "A-Z",
    "word": _WORD,
    "xdigit": "0-9A-Fa-f",
}
_TURKISH = "\u0130\u0131"
"""I with a dot and i without one, which Java takes for i where capitals count for nothing, and RE2 does not."""
_SAME = {"A": "\\A", "z": "\\z", "a": "\\x07", "f": "\\f", "t": "\\t", "n": "\\n", "r": "\\r", "v": "\\x0B"}
_REPEATED = re.compile(r"\{\d+(?:,\d*)?\}")
_GROUP = re.compile(r"\(\?(?:P?<\w+>|(?P<flags>[imsU]*)(?P<off>-[imsU]*)?(?P<end>[:)]))")
_HEX = re.compile(r"x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))")
_OCTAL = re.compile(r"[0-7]{1,3}")
_PROPERTY = re.compile(r"([pP])(?:\{(\^?)(\w+)\}|(\w))")
_QUOTED = re.compile(r"Q(.*?)(?:\\E|$)", re.DOTALL)


def java_pattern(pattern: str) -> str:
    """The pattern for Java. Raises SourceError for RE2's ``\\C`` and ``(?U)``, which Java has no words for."""
    return _Reader(pattern).read()


class _Reader:
    """One pass over a pattern; ``_flags`` are those in force, a set for each group that is open."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._flags = [frozenset[str]()]

    def read(self) -> str:
        found = []
        while self._at < len(self._pattern):
            found.append(self._piece())
        return "".join(found)

    def _piece(self) -> str:
        character = self._pattern[self._at]
        match character:
            case "(":
                return self._opened()
            case ")":
                self._at += 1
                if len(self._flags) > 1:
                    self._flags.pop()
                return ")"
            case "[":
                self._at += 1
                return self._class()
            case "\\":
                self._at += 1
                return self._escaped()
            case "{":
                repeated = _REPEATED.match(self._pattern, self._at)
                self._at += len(repeated[0]) if repeated else 1
                return repeated[0] if repeated else "\\{"
        self._at += 1
        if character in "^$.":
            return self._place(character)
        return character if character in "*+?|" else self._letter(character)

    def _place(self, character: str) -> str:
        flags = self._flags[-1]
        if character == ".":
            return "(?s:.)" if "s" in flags else "[^\\n]"
        if "m" in flags:
            return "(?:\\A|(?<=\\n))" if character == "^" else "(?=\\n|\\z)"
        return "\\A" if character == "^" else "\\z"

    def _letter(self, character: str) -> str:
        """A character that stands for itself."""
        if "i" not in self._flags[-1] or character not in f"iI{_TURKISH}":
            return _literal(character)
        return f"(?-iu:{'[iI]' if character in 'iI' else character})"

    def _opened(self) -> str:
        found = _GROUP.match(self._pattern, self._at)
        if not found:
            self._at += 1
            self._flags.append(self._flags[-1])
            return "("
        self._at = found.end()
        if found["end"] is None:
            self._flags.append(self._flags[-1])
            return "("
        on, off = found["flags"], (found["off"] or "")[1:]
        if "U" in on:
            raise self._refused("(?U)")
        flags = (self._flags[-1] | set(on)) - set(off)
        written = ("iu" if "i" in on else "") + ("-iu" if "i" in off else "")
        if found["end"] == ")":
            self._flags[-1] = flags
            return f"(?{written})" if written else ""
        self._flags.append(flags)
        return f"(?{written}:"

    def _escaped(self) -> str:
        """What follows a backslash, outside of a class."""
        character = self._pattern[self._at]
        if character == "b":
            self._at += 1
            return _AT_WORD
        if character == "B":
            self._at += 1
            return _NOT_AT_WORD
        if found := _QUOTED.match(self._pattern, self._at):
            self._at = found.end()
            return "".join(map(self._letter, found[1]))
        if character.lower() in _CLASSES:
            self._at += 1
            return self._among(_CLASSES[character.lower()], negated=character.isupper())
        if found := _HEX.match(self._pattern, self._at):
            self._at = found.end()
            return self._letter(chr(int(found[1] or found[2], 16)))
        return self._one()

    def _one(self) -> str:
        """An escape that is one character or a property, written the same in a class and outside."""
        character = self._pattern[self._at]
        if character == "C":
            raise self._refused("\\C")
        if found := _HEX.match(self._pattern, self._at):
            self._at = found.end()
            return f"\\x{{{found[1] or found[2]}}}"
        if found := _PROPERTY.match(self._pattern, self._at):
            self._at = found.end()
            negated = (found[1] == "P") != bool(found[2])
            name = found[3] or found[4]
            return f"\\{'P' if negated else 'p'}{{{name if len(name) <= 2 else f'Is{name}'}}}"
        if found := _OCTAL.match(self._pattern, self._at):
            self._at = found.end()
            return f"\\x{{{int(found[0], 8):X}}}"
        self._at += 1
        return _SAME.get(character) or _literal(character)

    def _class(self) -> str:
        """A bracket expression, from behind its ``[``."""
        negated = self._pattern.startswith("^", self._at)
        self._at += negated
        found: list[str] = []
        first = True
        while first or self._pattern[self._at] != "]":
            first = False
            found.append(self._member())
        self._at += 1
        return self._among("".join(found), negated=negated)

    def _among(self, members: str, *, negated: bool) -> str:
        """A class; where capitals count for nothing, the two letters are not in it for the sake of i."""
        written = f"[{'^' if negated else ''}{members}]"
        if "i" not in self._flags[-1] or not _is_latin(members):
            return written
        turkish, complement = f"(?-iu:[{_TURKISH}])", "[^" in members
        return f"(?:{written}|{turkish})" if negated != complement else f"(?:(?!{turkish}){written})"

    def _member(self) -> str:
        character = self._pattern[self._at]
        if character == "[" and (named := re.compile(r"\[:(\^?)(\w+):\]").match(self._pattern, self._at)):
            self._at = named.end()
            return f"[^{_POSIX[named[2]]}]" if named[1] else _POSIX[named[2]]
        self._at += 1
        if character == "-":
            return "-" if self._between() else "\\-"
        if character != "\\":
            return _literal(character)
        escaped = self._pattern[self._at]
        if escaped.lower() in _CLASSES:
            self._at += 1
            return f"[^{_CLASSES[escaped.lower()]}]" if escaped.isupper() else _CLASSES[escaped]
        return self._one()

    def _between(self) -> bool:
        """Whether the ``-`` just read stands between two ends."""
        return self._pattern[self._at - 2] != "[" and self._pattern[self._at] != "]"

    def _refused(self, part: str) -> SourceError:
        return SourceError(f'the pattern "{self._pattern}" uses {part}, which Spark cannot follow; write it without')


def _is_latin(members: str) -> bool:
    """Whether what a class names ends before the two letters, and it names no property; a complement has them."""
    numbered = (int(found, 16) for found in re.findall(r"\\x\{([0-9A-Fa-f]+)\}", members))
    latest = max((*map(ord, members), *numbered), default=0)
    return latest < ord(_TURKISH[0]) and not re.search(r"\\[pP]", members)


def _literal(character: str) -> str:
    """A character that stands for itself."""
    if character.isalnum() or character == "_" or ord(character) > 0x7F:
        return character
    return f"\\x{ord(character):02X}"
