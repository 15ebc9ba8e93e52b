"""A peer that answers line by line, so that contestants can take turns: peers.py torch|ort MODEL WORK

Reads {"ids": [[...], ...], "reps": N} and prints {"ms": [N times], "vectors": path}: the sequences are run the way the
peer's users run them (padded batches of at most 32, sorted by length), the vectors are mean-pooled and normalised,
float32 [sequences][hidden] in a .npy file under WORK. Two threads. WORK also keeps the exported model.onnx.
"""
import json
import pathlib
import sys
import time

import numpy as np

THREADS, BATCH = 2, 32


def padded(ids):
    """Yields (places, ids [n][longest], mask) for batches of at most BATCH, longest first."""
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    for at in range(0, len(order), BATCH):
        places = order[at:at + BATCH]
        x = np.zeros((len(places), len(ids[places[0]])), np.int64)
        mask = np.zeros_like(x)
        for row, i in enumerate(places):
            x[row, :len(ids[i])] = ids[i]
            mask[row, :len(ids[i])] = 1
        yield places, x, mask


def torch_model(model, _work):
    import torch
    from transformers import AutoModel
    torch.set_num_threads(THREADS)
    net = AutoModel.from_pretrained(model, dtype=torch.float32).eval()

    def run(x, mask):
        with torch.inference_mode():
            return net(input_ids=torch.from_numpy(x), attention_mask=torch.from_numpy(mask)).last_hidden_state.numpy()

    return run


def export(model, path):
    import torch
    from transformers import AutoModel
    net = AutoModel.from_pretrained(model, attn_implementation="eager", dtype=torch.float32).eval()

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, input_ids, attention_mask):
            return self.net(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    ids = torch.randint(1000, 2000, (2, 16))
    axes = {name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask", "hidden")}
    torch.onnx.export(Hidden(), (ids, torch.ones_like(ids)), str(path), input_names=["input_ids", "attention_mask"],
                      output_names=["hidden"], dynamic_axes=axes, opset_version=17, dynamo=False)


def ort_model(model, work):
    import onnxruntime
    path = work / "model.onnx"
    if not path.exists():
        export(model, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda x, mask: session.run(None, {"input_ids": x, "attention_mask": mask})[0]


def pooled(hidden, mask):
    m = mask[:, :, None].astype(np.float32)
    v = (hidden * m).sum(1) / m.sum(1)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def main():
    which, model, work = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    run = {"torch": torch_model, "ort": ort_model}[which](model, work)
    print(json.dumps({"ready": which}), flush=True)
    for n, line in enumerate(sys.stdin):
        task = json.loads(line)
        batches = list(padded(task["ids"]))
        ms = []
        for _ in range(task["reps"]):
            began = time.perf_counter()
            hidden = [run(x, mask) for _, x, mask in batches]
            ms.append(1000 * (time.perf_counter() - began))
        vectors = np.zeros((len(task["ids"]), hidden[0].shape[2]), np.float32)
        for (places, _, mask), h in zip(batches, hidden):
            vectors[places] = pooled(h, mask)
        path = work / f"{which}-{n}.npy"
        np.save(path, vectors)
        print(json.dumps({"ms": ms, "vectors": str(path)}), flush=True)


main()
