"""What many run today: FastAPI around a Transformers model, one forward for each request. plain_server.py FOLDER PORT

The peer of script/bench served. Mean pooling and normalisation as all-MiniLM-L6-v2's modules say."""
import sys

import fastapi
import torch
import uvicorn
from transformers import AutoModel, AutoTokenizer

folder, port = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(2)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModel.from_pretrained(folder).eval()
app = fastapi.FastAPI()


@app.post("/embed")
def embed(body: dict):
    batch = tokenizer(body["inputs"], return_tensors="pt", truncation=True, max_length=256, padding=True)
    with torch.inference_mode():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    pooled = (hidden * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(pooled).tolist()


uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")
