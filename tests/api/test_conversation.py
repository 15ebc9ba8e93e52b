"""berth run talks to SmolLM2-135M-Instruct for three turns; its greedy text is Transformers' own, turn by turn."""
import json
import os
import subprocess

import pytest

from daemon import BACKENDS, BUILD, MODELS, Daemon

SMOL = "HuggingFaceTB/SmolLM2-135M-Instruct"
TURNS = ["What is the capital of France?", "Name one thing to see there.", "How would I get to it from the airport?"]
TOKENS = 48

# What anybody would write with the library alone; its text is the reference.
REFERENCE = """
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, turns, tokens = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
said, answers = [], []
for turn in turns:
    said.append({"role": "user", "content": turn})
    ids = tokenizer.apply_chat_template(said, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        out = model.generate(**ids, max_new_tokens=tokens, do_sample=False)
    answers.append(tokenizer.decode(out[0, ids["input_ids"].shape[1]:], skip_special_tokens=True))
    said.append({"role": "assistant", "content": answers[-1]})
print(json.dumps(answers))
"""


@pytest.mark.timeout(300)
def test_three_turns_are_the_librarys_text(tmp_path):
    python = BACKENDS / "transformers/bin/python"
    want = json.loads(subprocess.run([python, "-c", REFERENCE, MODELS / SMOL, json.dumps(TURNS), str(TOKENS)], check=True,
                                     capture_output=True, text=True).stdout.splitlines()[-1])
    with Daemon(tmp_path) as d:
        d.add(SMOL, MODELS / SMOL)
        environment = {"PATH": os.environ["PATH"], "BERTH_HOME": str(d.home)}
        done = subprocess.run([BUILD / "berth", "run", SMOL, "--temperature", "0", "--max-tokens", str(TOKENS)],
                              input="\n".join(TURNS), env=environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "".join(f"{text}\n" for text in want)
        for turn, text in zip(TURNS, want):
            print(f"> {turn}\n{text}")
