"""table-question-answering: cells of a table, and what to do with them, as the pipeline of transformers gives it for
TAPAS. Its tokenizer takes tables of pandas."""
import json

import torch

from .. import params
from ..jobs import Answer, Refused
from . import Request
from .text import Sequence, TextTask, arrays, too_long

CELLS_MAX = 10_000  # of a table
NO_LIMIT = 10**9  # tokens


class TableQuestionAnswering(TextTask):
    names = ("table-question-answering",)
    auto = "AutoModelForTableQuestionAnswering"
    packages = ("pandas",)

    def __init__(self, model):
        super().__init__(model)
        labels = getattr(model.config, "aggregation_labels", None)
        self.aggregations = labels if labels and getattr(model.config, "num_aggregation_labels", None) else None

    def read(self, item):
        # With one question to a table, asking in sequence changes nothing, and neither does padding.
        known = params.read(item.job, {"sequential": "bool", "truncation": "bool",
                                       "padding": ("do_not_pad", "longest", "max_length")})
        question, table = item.text("question"), read_table(item.text("table"))
        if not question:
            raise Refused("invalid_request", "the question is empty")
        sequence = self._encode(question, table, known.get("truncation", True))
        return Request(item, cost=sequence.n, inputs=sequence, options=table, tokens=sequence.n,
                       truncated=sequence.truncated)

    def _encode(self, question, table, truncate):
        """Where not everything fits, cells are cut and the last rows left out."""
        import pandas
        frame, limit = pandas.DataFrame(table), self.limit or NO_LIMIT
        rows, columns = frame.shape
        tokenizer, sizes = self.model.tokenizer, self.model.config.type_vocab_sizes
        if columns >= min(tokenizer.max_column_id, sizes[1]) or rows >= min(tokenizer.max_row_id, sizes[2]):
            raise Refused("too_large", f"the table has {rows} rows and {columns} columns; the model knows up to "
                          f"{min(tokenizer.max_row_id, sizes[2]) - 1} and {min(tokenizer.max_column_id, sizes[1]) - 1}")
        sequence = self._tokens(frame, question, "do_not_truncate", NO_LIMIT)
        if sequence.n > limit and not truncate:
            raise too_long(sequence.n, limit)
        if sequence.n > limit:
            try:
                sequence = self._tokens(frame, question, "drop_rows_to_fit", limit)
            except ValueError as e:
                raise Refused("input_too_long", "the question and the table's heading leave no room for a row; shorten "
                              "them") from e
            sequence.truncated = True
        for column, size in zip(zip(*sequence.fields["token_type_ids"], strict=True), sizes, strict=True):
            if max(column) >= size:
                raise Refused("too_large", f"a column of the table has more different numbers than the {size - 1} that "
                              "the model can rank")
        return sequence

    def _tokens(self, frame, question, truncation, limit):
        fields = self.model.tokenizer(table=frame, queries=question, truncation=truncation, max_length=limit)
        return Sequence({name: list(values) for name, values in fields.items()})

    def run(self, requests):
        return [self._answer(r, *found) for r, found in zip(requests, self.forward(
            [r.inputs for r in requests], self._take), strict=True)]

    def _take(self, group, output, mask):
        chosen = [None] * len(group) if self.aggregations is None else output.logits_aggregation.argmax(-1).tolist()
        return list(zip(arrays(output.logits, mask), chosen, strict=True))

    def _answer(self, request, logits, aggregation):
        """logits: [tokens]; aggregation: the id of what is done with the cells, or None."""
        data = {name: torch.tensor([values]) for name, values in request.inputs.fields.items()}
        found = self.model.tokenizer.convert_logits_to_predictions(data, torch.tensor(logits[None]))[0][0]
        columns = list(request.options.values())
        cells = [columns[column][row] for row, column in found]
        said = {"answer": ", ".join(cells), "coordinates": [list(place) for place in found], "cells": cells}
        if aggregation is not None:
            said["aggregator"] = self.aggregations[aggregation]
            if aggregation != self.model.config.no_aggregation_label_index:
                said["answer"] = f"{said['aggregator']} > {said['answer']}"
        return Answer(said, tokens=request.tokens, truncated=request.truncated)


def read_table(text):
    """{column: [cell as text]} from JSON."""
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused("invalid_request", "the table is not JSON") from None
    if not isinstance(table, dict) or not table or not all(isinstance(c, list) for c in table.values()):
        raise Refused("invalid_request", "the table should be an object: each column's name to the list of its cells")
    if len({len(c) for c in table.values()}) != 1 or not all(table.values()):
        raise Refused("invalid_request", "the table's columns should be of the same length, with one cell at least")
    if sum(len(c) for c in table.values()) > CELLS_MAX:
        raise Refused("too_large", f"the table has more than {CELLS_MAX} cells")
    return {name: [_cell(c) for c in cells] for name, cells in table.items()}


def _cell(value):
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused("invalid_request", "a cell of the table should be a text or a number")
    return str(value)
