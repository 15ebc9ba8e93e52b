"""Ids to text as they come: whole characters, the very text that decoding all of them gives, cut before a stop text."""

WINDOW = 24  # ids that are decoded again with each new one
CONTEXT = 6  # of them that are kept when the window moves on
UNFINISHED_MAX = 16  # characters held back because their bytes may not be all there
CLEANED = 5  # characters that tidying may still change: " n't" and one after it
REPLACEMENT = "\ufffd"


class Decoder:
    """Added ids to added text. The texts of add() and finish(), put together, are what the tokenizer decodes all ids to
    (special ones left out)."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self._ids = []  # of the window
        self._told = 0  # characters of the window's text
        self._tidies = bool(getattr(tokenizer, "clean_up_tokenization_spaces", False))

    def add(self, token):
        self._ids.append(token)
        text = self._decode(self._ids)
        end = len(text) - self._held(text)
        added = text[self._told:end]
        self._told = max(self._told, end)
        if len(self._ids) > WINDOW and end == len(text):
            self._move(text)
        return added

    def finish(self):
        added = self._decode(self._ids)[self._told:]
        self._told += len(added)
        return added

    def _decode(self, ids):
        return self._tokenizer.decode(ids, skip_special_tokens=True)

    def _held(self, text):
        """Characters at the end that the next id may change."""
        whole = text.rstrip(REPLACEMENT)
        unfinished = len(text) - len(whole)
        if unfinished:
            return min(unfinished, UNFINISHED_MAX)
        if self._tidies and (space := text.rfind(" ", max(len(text) - CLEANED, 0))) >= 0:
            return len(text) - space
        return 0

    def _move(self, text):
        """Forgets the oldest ids, unless the text of the others depends on them."""
        kept = self._ids[-CONTEXT:]
        tail = self._decode(kept)
        if tail and text.endswith(tail):
            self._ids, self._told = kept, len(tail)


class Stops:
    """Holds back text that a stop text may begin in. After .hit nothing more comes."""

    def __init__(self, stops):
        self._stops = [s for s in stops if s]
        self._held = ""
        self.hit = False

    def add(self, text):
        """The text that is certain to come before every stop text."""
        if self.hit or not self._stops:
            return "" if self.hit else text
        text = self._held + text
        found = [at for at in map(text.find, self._stops) if at >= 0]
        if found:
            self.hit, self._held = True, ""
            return text[:min(found)]
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep:]
        return text[:len(text) - keep]

    def finish(self):
        held, self._held = self._held, ""
        return held


def _overlap(text, stop):
    """The longest end of text that stop begins with, short of all of it."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
