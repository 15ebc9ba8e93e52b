"""tokenize: the ids that a text becomes; no forward."""
from .. import params
from ..jobs import Answer
from . import Request, Task


class Tokenize(Task):
    names = ("tokenize",)
    auto = ()  # whatever class the model was loaded by

    def read(self, item):
        options = params.read(item.job, {"add_special_tokens": "bool"})
        ids = self.model.tokenizer(item.text(), add_special_tokens=options.get("add_special_tokens", True),
                                   truncation=False, verbose=False)["input_ids"]
        return Request(item, cost=1, inputs=ids, tokens=len(ids))

    def run(self, requests):
        return [Answer(result={"ids": r.inputs}, tokens=r.tokens) for r in requests]
