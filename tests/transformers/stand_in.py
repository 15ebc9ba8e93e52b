"""The Transformers server with tasks of the tests' own, for what the real ones cannot be made to do.

    python stand_in.py          as python -m berth_transformers, but with the table of tasks below
"""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

from berth_transformers import jobs, tasks  # noqa: E402


class MeanVector(tasks.Task):
    """The mean of the last hidden states, what an embedding is at heart. Parameters make it fail on purpose."""
    names = ("feature-extraction",)
    spare = ("pooler",)
    generates = False

    def read(self, item):
        if item.job.params.get("refuse"):
            raise jobs.Refused("input_too_long", "refused, as it was asked to be")
        ids = self.model.tokenizer(item.text(), truncation=True, max_length=self.model.max_tokens)["input_ids"]
        return tasks.Request(item, cost=len(ids), inputs=ids, tokens=len(ids), options=item.job.params)

    def run(self, requests):
        import torch
        for request in requests:
            self.misbehave(request)
        longest = max(r.cost for r in requests)
        ids = torch.zeros(len(requests), longest, dtype=torch.int64)
        mask = torch.zeros(len(requests), longest, dtype=torch.int64)
        for i, request in enumerate(requests):
            ids[i, :request.cost] = torch.tensor(request.inputs)
            mask[i, :request.cost] = 1
        hidden = self.model.model(input_ids=ids, attention_mask=mask).last_hidden_state
        means = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return [self.answer(r, row) for r, row in zip(requests, means.float().numpy())]

    def misbehave(self, request):
        import torch
        how = request.options.get("how")
        if how == "print":
            print("printed by a library")
        if how == "raise":
            raise ValueError("a secret in /root/secret/path")
        if how == "memory":
            torch.empty(1 << 50, dtype=torch.uint8)
        if how == "gigabyte":
            torch.zeros(1 << 30, dtype=torch.uint8)
        if how == "forever":
            while True:
                self.model.model(input_ids=torch.tensor([request.inputs]))

    def answer(self, request, row):
        if request.options.get("how") == "big":
            import numpy
            row = numpy.tile(row, 200)
        if request.options.get("how") == "bad":
            return jobs.Answer(result={"a": {1, 2}})
        return jobs.Answer(parts=[jobs.Part("tensor", row)], tokens=request.tokens)


# As a module of the package, which is where the table looks.
sys.modules["berth_transformers.tasks.stand_in"] = sys.modules[__name__]
if __name__ == "__main__":
    import importlib.machinery
    __spec__ = importlib.machinery.ModuleSpec("berth_transformers.tasks.stand_in", None)
    tasks.TABLE.clear()
    tasks.TABLE["feature-extraction"] = "stand_in:MeanVector"
    from berth_transformers import __main__ as program
    program.run()
