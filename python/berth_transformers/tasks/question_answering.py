"""question-answering: spans of a context, as the pipeline of transformers 4.57.6 finds them (5 has none).

One thing differs: where a tokenizer puts the context first (those that pad on the left), only the context is searched;
the pipeline searches the question too.
"""
import numpy as np

from .. import params
from ..jobs import Answer, Refused
from . import Request
from .text import TextTask, arrays, too_long, top_k

SEQUENCE_TOKENS = 384  # of a window, at most, where the caller does not say
STRIDE_TOKENS = 128  # that two windows share, likewise
ANSWER_TOKENS = 15
TOP_K_MAX = 1000
MASKED = -10000.0  # the logit of what is no candidate


class QuestionAnswering(TextTask):
    names = ("question-answering",)
    auto = "AutoModelForQuestionAnswering"

    def __init__(self, model):
        super().__init__(model)
        if not model.tokenizer.is_fast:
            raise Refused("unsupported_task", "question-answering needs to know where a token is in the text, which "
                          "this model's tokenizer does not tell")

    def read(self, item):
        known = params.read(item.job, {
            "top_k": "uint", "doc_stride": "uint", "max_answer_len": "uint", "max_seq_len": "uint",
            "max_question_len": "uint", "handle_impossible_answer": "bool", "align_to_words": "bool"})
        if top_k(known, 1) > TOP_K_MAX:
            raise Refused("invalid_request", f"'top_k' is {known['top_k']}; at most {TOP_K_MAX} are given")
        if known.get("max_answer_len", 1) < 1:
            raise Refused("invalid_request", "'max_answer_len' is 0; it starts at 1")
        question, context = item.text("question"), item.text("context")
        for name, text in (("question", question), ("context", context)):
            if not text:
                raise Refused("invalid_request", f"the {name} is empty")
        asked, cut = self._cut_question(question, known.get("max_question_len"))
        sequences = self._windows(asked, context, known)
        total = sum(s.n for s in sequences)
        return Request(item, cost=total, inputs=sequences, options=(context, known), tokens=total, truncated=cut)

    def _cut_question(self, question, most):
        """(question, whether it was cut). Like the pipeline, nothing is cut where nobody asks for it."""
        if most is None:
            return question, False
        if most < 1:
            raise Refused("invalid_request", "'max_question_len' is 0; it starts at 1")
        sequence = self._tokenize(question, None, add_special_tokens=False)
        if sequence.n <= most:
            return question, False
        return question[:sequence.encoding.offsets[most - 1][1]], True

    def _windows(self, question, context, known):
        length = known.get("max_seq_len", min(self.limit or SEQUENCE_TOKENS, SEQUENCE_TOKENS))
        if self.limit and length > self.limit:
            raise Refused("invalid_request", f"'max_seq_len' is {length}; the model takes at most {self.limit} tokens")
        stride = known.get("doc_stride", min(length // 2, STRIDE_TOKENS))
        if stride > length:
            raise Refused("invalid_request", f"'doc_stride' is {stride}, which is more than the {length} tokens of a "
                          "window ('max_seq_len')")
        if "doc_stride" not in known:
            stride = self._fitting(stride, question, length)
        if self._question_first():
            return self.windows(question, context, length, stride, cut="only_second")
        return self.windows(context, question, length, stride, cut="only_first")

    def _fitting(self, stride, question, length):
        """A stride that nobody asked for gives way to a long question."""
        tokens = self._tokenize(question, None, add_special_tokens=False).n
        room = length - tokens - self.model.tokenizer.num_special_tokens_to_add(True)
        if room < 1:
            raise too_long(length - room + 1, length)
        return min(stride, room - 1)

    def _question_first(self):
        return self.model.tokenizer.padding_side == "right"

    def run(self, requests):
        sequences = [s for r in requests for s in r.inputs]
        found = iter(self.forward(sequences, lambda group, output, mask: list(zip(
            arrays(output.start_logits, mask), arrays(output.end_logits, mask), strict=True))))
        return [self._answer(r, [next(found) for _ in r.inputs]) for r in requests]

    def _answer(self, request, logits):
        """logits: (start [tokens], end [tokens]) of each window."""
        context, known = request.options
        wanted, align = known.get("top_k", 1), known.get("align_to_words", True)
        each = wanted * 2 + 10 if align else wanted  # words merge some of them
        answers, no_answer = {}, float("inf")
        for sequence, (start, end) in zip(request.inputs, logits, strict=True):
            spans, null = best_spans(start, end, self._candidates(sequence), each,
                                     known.get("max_answer_len", ANSWER_TOKENS))
            no_answer = min(no_answer, null)
            for first, last, score in spans:
                begin, behind = self._characters(sequence.encoding, first, last, align)
                text = context[begin:behind]
                same = answers.setdefault(text.lower(), {"score": 0.0, "start": begin, "end": behind, "answer": text})
                same["score"] += score
        answers = list(answers.values())
        if known.get("handle_impossible_answer"):
            answers.append({"score": no_answer, "start": 0, "end": 0, "answer": ""})
        return Answer(sorted(answers, key=lambda a: -a["score"])[:wanted], tokens=request.tokens,
                      truncated=request.truncated)

    def _candidates(self, sequence):
        """bool [tokens]: those of the context, and the one that stands for no answer."""
        context, none = int(self._question_first()), self.model.tokenizer.cls_token_id
        return np.array([s == context or (none is not None and t == none) for s, t in zip(
            sequence.encoding.sequence_ids, sequence.fields["input_ids"], strict=True)])

    def _characters(self, encoding, first, last, align):
        """Where tokens first .. last begin and end in the context, in code points; align: with whole words."""
        if align:
            words, context = (encoding.token_to_word(first), encoding.token_to_word(last)), int(self._question_first())
            places = [None if w is None else encoding.word_to_chars(w, context) for w in words]
            if None not in places:
                return places[0][0], places[1][1]
        return encoding.offsets[first][0], encoding.offsets[last][1]


def best_spans(start, end, candidates, k, longest):
    """([(first token, last token, score)], score of no answer). start, end: logits [tokens]; the score is the product
    of the two probabilities, among the candidates; the first token stands for no answer."""
    start, end = (_probabilities(np.where(candidates, x, np.float32(MASKED))) for x in (start, end))
    null = float(start[0] * end[0])
    start[0] = end[0] = 0.0
    scores = np.tril(np.triu(np.outer(start, end)), longest - 1).ravel()
    if k < len(scores):
        best = np.argpartition(-scores, k)[:k] if k > 1 else np.array([scores.argmax()])
        best = best[np.argsort(-scores[best])]
    else:
        best = np.argsort(-scores)
    allowed = candidates.copy()
    allowed[0] = True
    firsts, lasts = np.unravel_index(best, (len(start), len(end)))
    return [(int(f), int(last), float(scores[i])) for i, f, last in zip(best, firsts, lasts, strict=True)
            if allowed[f] and allowed[last]], null


def _probabilities(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()
