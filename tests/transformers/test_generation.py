"""Generation without a process: the real compute thread's turns, books and streams, a daemon that is a list of frames.

Golden texts are transformers' (tests/golden/tasks/make_generation.py); where there is none, generate() is asked here."""
import copy
import json
import os
import random
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from berth_transformers import chat_template, frames, generation, loading, sampling  # noqa: E402
from berth_transformers.compute import Compute  # noqa: E402
from berth_transformers.jobs import Item, Job, Part, Refused  # noqa: E402
from berth_transformers.lanes import Lane, lanes_agree, mergeable  # noqa: E402
from berth_transformers.ledger import Ledger  # noqa: E402
from berth_transformers.text_stream import Decoder, Stops  # noqa: E402
import server  # noqa: E402
from conftest import ROOT  # noqa: E402

TASKS = ROOT / "tests/golden/tasks"
GOLDEN = json.loads((TASKS / "generation.json").read_text())["cases"]
TEXT_TO_TEXT = json.loads((TASKS / "text_to_text.json").read_text())["cases"]
CAUSAL = ["gen_llama", "gen_gpt2", "gen_window", "gen_mixed", "gen_mamba"]
PLENTY = 1 << 30
PROMPTS = ["The quick brown", "Where is the station? It is near the old bridge, over the river", "東京 😀", "one",
           "a b c d e f g h i j k l m n o p q r s t", "{", "seven eight nine ten", "naïve café, Größe"]
_loaded = {}


def model(name, task="text-generation"):
    if (name, task) not in _loaded:
        _loaded[name, task] = loading.load(TASKS / name, task=task, device="cpu")
    return _loaded[name, task]


class Daemon:
    """In the place of the channel: what was sent, as frames."""

    def __init__(self):
        self.sent = []  # (type, job, body)

    def send(self, name, body, job=0):
        self.sent.append((name, job, body))

    def send_bytes(self, data, fd=-1):
        length, number, _, job = frames.HEADER.unpack_from(data)
        name = frames.NAMES[number]
        self.sent.append((name, job, frames.read_body(name, data[frames.HEADER.size:])))
        assert name != "CHUNK" or length <= frames.CHUNK_MAX


class Desk:
    """A model's compute thread, turned by hand."""

    def __init__(self, loaded):
        for module in loaded.model.modules():
            module._forward_pre_hooks.clear()  # of the desk before this one
        self.daemon = Daemon()
        self.ledger = Ledger(self.daemon)
        self.compute = Compute(loaded, self.ledger)
        self.generator = self.compute._generator
        self._jobs = 0

    def ask(self, inputs, task="text-generation", credit=None, deadline_ns=0, **params):
        """A job with an item for each input: a text, a list of ids, or a conversation; its number."""
        self._jobs += 1
        job = Job(self._jobs, task, params, [], deadline_ns=deadline_ns, credit=credit)
        job.items = [Item(job, i, parts_of(some), time.monotonic_ns()) for i, some in enumerate(inputs)]
        self.ledger.take(job, 0)
        self.compute.submit(job)
        return job.id

    def turn(self, turns=1):
        """Whether there was something to do."""
        worked = False
        with torch.inference_mode():
            for _ in range(turns):
                while self.compute._calls:
                    self.compute._calls.popleft()()
                self.compute._take()
                worked = self.compute._turn()
        return worked

    def run(self):
        while self.turn() or self.compute._calls:
            pass

    def done(self, job, item=0):
        return next(body for name, j, body in self.daemon.sent if name == "DONE" and (j, body["item"]) == (job, item))

    def result(self, job, item=0):
        return self.done(job, item)["result"]

    def error(self, job):
        return next(body for name, j, body in self.daemon.sent if name == "ERROR" and j == job)

    def chunks(self, job, item=0):
        return [body for name, j, body in self.daemon.sent if name == "CHUNK" and (j, body["item"]) == (job, item)]

    def told(self, job, item=0):
        """The text of its chunks: each of them whole characters by itself."""
        return "".join(c["parts"][0]["d"].decode() for c in self.chunks(job, item))


def parts_of(some):
    if isinstance(some, str):
        return [Part("text", some)]
    if isinstance(some[0], int):
        return [Part("tokens", some)]
    return [Part("text", m["content"], m["role"]) if set(m) == {"role", "content"} else
            Part("text", json.dumps(m), m["role"], "application/json") for m in some]


@pytest.fixture
def llama():
    return Desk(model("gen_llama"))


def ids_of(network, ids, **options):
    """generate()'s own, of one prompt alone."""
    prompt = torch.tensor([ids])
    out = network.generate(prompt, attention_mask=torch.ones_like(prompt), **options)
    return out[0, len(ids):].tolist()


# ---- against transformers ----

@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"{c['model']}-{c['task']}-{str(c['input'])[:12]}")
def test_golden_texts(case):
    desk = Desk(model(case["model"]))
    params = {"do_sample": False, **case["params"]}
    goes_on = case["task"] == "chat" and case["input"][-1]["role"] == "assistant"
    if goes_on:
        params["continue"] = True
    job = desk.ask([case["input"]], case["task"], PLENTY, **params)
    desk.run()
    result = desk.result(job)
    text = (case["input"][-1]["content"] if goes_on else "") + result["text"]
    assert text == case["text"]
    assert text.endswith(desk.told(job))
    assert result.get("seed") == case["params"].get("seed")


@pytest.mark.parametrize("name", CAUSAL)
def test_a_batch_gives_the_tokens_of_one_at_a_time(name):
    loaded = model(name)
    desk = Desk(loaded)
    assert bool(desk.generator._token_bytes) == (name != "gen_mamba")
    job = desk.ask(PROMPTS, max_new_tokens=40, do_sample=False, details=True)
    desk.run()
    for i, prompt in enumerate(PROMPTS):
        alone = ids_of(loaded.model, loaded.tokenizer(prompt)["input_ids"], do_sample=False, max_new_tokens=40)
        assert [t["id"] for t in desk.result(job, i)["tokens"]] == alone, prompt
        assert desk.done(job, i)["usage"]["generated"] == len(alone)


@pytest.mark.parametrize("name", ["gen_llama", "gen_gpt2", "gen_mixed", "gen_mamba"])
def test_streams_join_and_leave_between_steps(name):
    loaded = model(name)
    desk, rng = Desk(loaded), random.Random(4)
    asked = []
    for prompt in PROMPTS * 2:
        count = rng.randrange(1, 30)
        asked.append((desk.ask([prompt], max_new_tokens=count, do_sample=False, details=True, ignore_eos=True), prompt,
                      count))
        desk.turn(rng.randrange(4))
    desk.run()
    for job, prompt, count in asked:
        alone = ids_of(loaded.model, loaded.tokenizer(prompt)["input_ids"], do_sample=False, max_new_tokens=count,
                       min_new_tokens=None, eos_token_id=None)
        assert [t["id"] for t in desk.result(job)["tokens"]] == alone
    assert not desk.generator._lanes and not desk.generator.items()


def test_a_lane_that_would_be_wrong_is_not_used(monkeypatch):
    """The trial at load finds a model whose positions do not follow what it is told."""
    network = model("gen_llama").model
    assert lanes_agree(network)
    right = Lane.__init__

    def wrong(self, network):
        right(self, network)
        self.positions = False
    monkeypatch.setattr(Lane, "__init__", wrong)
    assert not lanes_agree(network)


def test_positions_that_depend_on_the_longest_row_stay_alone(monkeypatch):
    network = model("gen_llama").model
    assert mergeable(network)
    monkeypatch.setattr(network.config, "rope_parameters", {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4})
    assert not mergeable(network)


def test_long_prompts_are_read_in_pieces(llama, monkeypatch):
    monkeypatch.setattr(generation, "PREFILL_CHUNK", 16)
    monkeypatch.setattr("berth_transformers.lanes.PREFILL_CHUNK", 16)
    loaded = model("gen_llama")
    ids = [random.Random(1).randrange(8, 300) for _ in range(100)]
    first = llama.ask(["one"], max_new_tokens=30, details=True, do_sample=False, ignore_eos=True)
    llama.turn(3)
    job = llama.ask([ids], max_new_tokens=8, details=True, do_sample=False, prefill=True)
    llama.run()
    assert [t["id"] for t in llama.result(job)["tokens"]] == ids_of(loaded.model, ids, do_sample=False, max_new_tokens=8)
    assert [t["id"] for t in llama.result(job)["prefill"]] == ids
    logp = torch.log_softmax(loaded.model(torch.tensor([ids])).logits[0].float(), -1)
    for i, token in enumerate(llama.result(job)["prefill"][1:]):
        assert token["logprob"] == pytest.approx(float(logp[i, ids[i + 1]]), abs=1e-4)
    assert llama.result(job)["prefill"][0]["logprob"] is None
    assert llama.done(first)["usage"]["generated"] == 30


# ---- choosing ----

def test_a_seed_gives_its_text_whatever_else_runs(llama):
    options = {"max_new_tokens": 20, "temperature": 1.0, "seed": 11, "details": True}
    alone = llama.ask(["one"], **options)
    llama.run()
    llama.ask(PROMPTS, max_new_tokens=40, temperature=2.0)
    llama.turn(4)
    beside = llama.ask(["one", "one"], **options)
    llama.run()
    assert [t["id"] for t in llama.result(beside)["tokens"]] == [t["id"] for t in llama.result(alone)["tokens"]]
    assert (llama.result(beside)["seed"], llama.result(beside, 1)["seed"]) == (11, 12)
    assert llama.result(beside)["text"] != llama.result(beside, 1)["text"]


def test_without_a_seed_one_is_drawn_and_told(llama):
    job = llama.ask(["one", "one"], max_new_tokens=20, temperature=1.5)
    llama.run()
    seed = llama.result(job)["seed"]
    again = llama.ask(["one"], max_new_tokens=20, temperature=1.5, seed=seed)
    llama.run()
    assert llama.result(again)["text"] == llama.result(job)["text"]
    assert llama.result(job, 1)["seed"] != seed


@pytest.mark.parametrize("options", [{"repetition_penalty": 1.7}, {"min_new_tokens": 12}, {"top_k": 3, "seed": 5},
                                     {"top_p": 0.5, "seed": 5}, {"typical_p": 0.4, "seed": 5}, {"min_p": 0.2, "seed": 5},
                                     {"temperature": 0.0}, {"temperature": 3.0, "top_k": 0, "seed": 5}], ids=str)
def test_options_are_generates_own(llama, options):
    loaded = model("gen_llama")
    job = llama.ask([PROMPTS[1]], max_new_tokens=20, details=True, **options)
    llama.run()
    own = dict(options)
    seed = own.pop("seed", None)
    if own.get("temperature") == 0:
        del own["temperature"]
    torch.manual_seed(seed or 0)
    alone = ids_of(loaded.model, loaded.tokenizer(PROMPTS[1])["input_ids"], do_sample=seed is not None,
                   max_new_tokens=20, **own)
    assert [t["id"] for t in llama.result(job)["tokens"]] == alone


def test_frequency_and_presence():
    count = sampling.Penalties(2, 0.5, 0.25)
    scores = count(torch.tensor([[3, 3, 1, 1, 2]]), torch.zeros(1, 5))
    assert scores.tolist() == [[0, -1.25, -0.75, 0, 0]]  # the prompt's own tokens do not count


def test_generation_config_is_followed():
    loaded = model("gen_gpt2")  # with a repetition penalty
    assert loaded.model.generation_config.repetition_penalty == 1.3
    config = sampling.settings(loaded.model, {})
    assert (config.repetition_penalty, config.do_sample) == (1.3, False)
    assert sampling.new_tokens(loaded.model, {}, 5) == sampling.NEW_TOKENS


def test_a_temperature_that_is_next_to_nothing_is_none(llama):
    coldest, cold = (llama.ask(["one"], temperature=t, max_new_tokens=5) for t in (0.0, 1e-40))
    llama.run()
    assert llama.result(coldest) == llama.result(cold)


@pytest.mark.parametrize("seed", [2**64 - 1, 2**63 - 1, -2**64])
def test_every_item_is_answered_whatever_its_seed(llama, seed):
    job = llama.ask(["one", "two"], seed=seed, do_sample=True, max_new_tokens=2)
    llama.run()
    told = [llama.result(job, item)["seed"] for item in range(2)]
    assert told == [(seed + i) % 2**63 for i in range(2)] and len(llama.ledger) == 0


def test_an_answer_that_no_frame_can_hold_is_an_error_of_its_item(llama, monkeypatch):
    monkeypatch.setattr(llama.compute, "done", lambda *_: {}["no such answer"])
    job = llama.ask(["one"], max_new_tokens=2)
    llama.run()
    assert llama.error(job)["code"] == "internal" and len(llama.ledger) == 0


@pytest.mark.parametrize("params, code", [
    ({"temperature": -1.0}, "invalid_request"), ({"top_p": 0.0}, "invalid_request"), ({"top_p": 1.5}, "invalid_request"),
    ({"temperature": float("nan")}, "invalid_request"), ({"repetition_penalty": 0.0}, "invalid_request"),
    ({"repetition_penalty": 1e-40, "do_sample": True}, "invalid_request"), ({"top_k": 2**64 - 1}, "invalid_request"),
    ({"max_new_tokens": True}, "invalid_request"), ({"stop": ["x"] * 10**5}, "invalid_request"),
    ({"max_new_tokens": 0}, "invalid_request"), ({"stop": ["x"] * 17}, "invalid_request"),
    ({"logprobs": 21}, "invalid_request"), ({"num_beams": 2}, "unsupported_option"), ({"seed": "1"}, "invalid_request"),
    ({"assistant_model": "x"}, "unsupported_option"), ({"chat_template": "x"}, "unsupported_option")], ids=str)
def test_what_is_refused(llama, params, code):
    job = llama.ask(["one"], **params)
    llama.run()
    assert llama.error(job)["code"] == code


# ---- ends ----

def test_the_end_of_sequence_and_ignoring_it():
    loaded = model("gen_mamba")
    prompt = next(c for c in GOLDEN if c["model"] == "gen_mamba")["input"]
    desk = Desk(loaded)
    stops, ignores = desk.ask([prompt], max_new_tokens=24, details=True), \
        desk.ask([prompt], max_new_tokens=24, details=True, ignore_eos=True)
    desk.run()
    assert desk.result(stops)["finish"] == "stop"
    last = desk.result(stops)["tokens"][-1]
    assert last["special"] and last["text"] == "</s>"
    assert desk.result(ignores)["finish"] == "length" and desk.done(ignores)["usage"]["generated"] == 24


def test_stop_texts_across_tokens(llama):
    whole = llama.ask(["one"], max_new_tokens=24, do_sample=False)
    llama.run()
    text = llama.result(whole)["text"]
    for at, n in ((3, 1), (4, 3), (6, 5)):
        stop = text[at:at + n]
        job = llama.ask(["one"], "text-generation", PLENTY, max_new_tokens=24, do_sample=False,
                        stop=["no such text", stop, stop + "!"])
        llama.run()
        assert llama.result(job)["text"] == text[:text.find(stop)] == llama.told(job)
        assert llama.result(job)["finish"] == "stop_sequence"
        assert llama.done(job)["usage"]["generated"] < 24


def test_held_back_text_comes_when_no_stop_text_did():
    stops = Stops(["abc", "bd"])
    assert [stops.add(t) for t in ("xa", "b", "x", "ab")] == ["x", "", "abx", ""]
    assert stops.finish() == "ab" and not stops.hit
    stops = Stops(["abc", "bd"])
    assert [stops.add(t) for t in ("a", "bdc", "more")] == ["", "a", ""] and stops.hit


def test_the_context_is_the_end(llama):
    context = model("gen_llama").max_tokens
    ids = [9] * (context - 5)
    job, over, cut = llama.ask([ids], max_new_tokens=50, ignore_eos=True), llama.ask([[9] * context]), \
        llama.ask([[9] * context], truncate=4, max_new_tokens=2)
    llama.run()
    assert llama.done(job)["usage"]["generated"] == 5 and llama.result(job)["finish"] == "length"
    assert llama.error(over)["code"] == "input_too_long" and str(context) in llama.error(over)["text"]
    assert llama.done(cut)["usage"]["tokens"] == 4 and llama.done(cut)["flags"] == ["truncated"]


def test_full_text_and_echo(llama):
    plain, full, echo = (llama.ask(["one two"], "text-generation", PLENTY, max_new_tokens=6, do_sample=False, **more)
                         for more in ({}, {"return_full_text": True}, {"echo": True, "logprobs": 2}))
    prompt_only = llama.ask(["one two"], max_new_tokens=0, echo=True, logprobs=1)
    llama.run()
    text = llama.result(plain)["text"]
    assert llama.result(full)["text"] == "one two" + text and llama.told(full) == text
    assert llama.result(echo)["text"] == "one two" + text == llama.told(echo)
    assert "tokens" not in llama.result(echo)
    tokens = [t for c in llama.chunks(echo) for t in c.get("result", {}).get("tokens", [])]
    assert "".join(t["text"] for t in tokens if not t["special"]) == "one two" + text
    assert tokens[0]["logprob"] is None and len(tokens[1]["top"]) == 2
    result = llama.result(prompt_only)
    assert (result["text"], result["finish"]) == ("one two", "length")
    assert [t["id"] for t in result["tokens"]] == model("gen_llama").tokenizer("one two")["input_ids"]


def test_log_probabilities(llama):
    loaded = model("gen_llama")
    job = llama.ask([PROMPTS[1]], max_new_tokens=8, do_sample=False, logprobs=3)
    llama.run()
    tokens = llama.result(job)["tokens"]
    ids = loaded.tokenizer(PROMPTS[1])["input_ids"]
    logits = loaded.model(torch.tensor([ids + [t["id"] for t in tokens]])).logits[0].float()
    logp = torch.log_softmax(logits, -1)[len(ids) - 1:]
    for i, token in enumerate(tokens):
        assert token["logprob"] == pytest.approx(float(logp[i, token["id"]]), abs=1e-4)
        assert [t["id"] for t in token["top"]] == logp[i].topk(3).indices.tolist()
        assert token["top"][0]["id"] == token["id"]  # greedy
    assert "".join(t["text"] for t in tokens if not t["special"]) == llama.result(job)["text"]


# ---- text as it comes ----

def byte_ids(tokenizer, text):
    """One id a byte, whatever merges there are."""
    alphabet = transformers.convert_slow_tokenizer.bytes_to_unicode()
    return tokenizer.convert_tokens_to_ids([alphabet[b] for b in text.encode()])


def test_characters_are_whole_and_add_up():
    tokenizer = model("gen_llama").tokenizer
    text = "Größe, 東京 and 😀👩‍👩‍👧; naïve — " * 8
    ids = byte_ids(tokenizer, text)
    decoder = Decoder(tokenizer)
    told = [decoder.add(i) for i in ids]
    assert "".join(told) + decoder.finish() == text
    assert not any("\ufffd" in t for t in told)
    assert told.count("") == len(ids) - len(text)  # a character comes with its last byte


@pytest.mark.parametrize("seed", range(5))
def test_any_ids_add_up_to_what_decoding_them_gives(seed):
    tokenizer, rng = model("gen_llama").tokenizer, random.Random(seed)
    ids = [rng.randrange(len(tokenizer)) for _ in range(300)]
    decoder = Decoder(tokenizer)
    told = "".join(decoder.add(i) for i in ids) + decoder.finish()
    assert told == tokenizer.decode(ids, skip_special_tokens=True)


def test_spaces_of_other_decoders_add_up():
    """Words with "▁" and bytes as <0x..>, as SentencePiece's; and tidied ones, as BERT's."""
    from tokenizers import Tokenizer, decoders, models
    words = ["▁one", "▁two", "ty", "▁", ".", *(f"<0x{b:02X}>" for b in range(256))]
    plain = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "."))
    plain.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                       decoders.Strip(" ", 1, 0)])
    tidy = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["it", "is", "n't", ".", ",", "'s", "##ly"])}, "it"))
    tidy.decoder = decoders.WordPiece()
    for made, cleans in ((plain, False), (tidy, True)):
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, clean_up_tokenization_spaces=cleans)
        rng = random.Random(8)
        for _ in range(20):
            ids = [rng.randrange(min(made.get_vocab_size(), 8)) for _ in range(60)]
            ids += [words.index(f"<0x{b:02X}>") for b in "é東".encode()] if not cleans else []
            decoder = Decoder(tokenizer)
            assert "".join(decoder.add(i) for i in ids) + decoder.finish() == tokenizer.decode(ids)


# ---- credit, cancel, deadlines, room ----

def test_a_reader_without_credit_stalls_its_own_stream_only(llama):
    options = {"max_new_tokens": 60, "do_sample": False, "ignore_eos": True}
    want = llama.ask([PROMPTS[0]], **options)
    llama.run()
    slow = llama.ask([PROMPTS[0]], "text-generation", frames.CHUNK_MAX + 200, **options)
    other = llama.ask([PROMPTS[1]], "text-generation", PLENTY, **options)
    llama.run()
    assert llama.done(other)["usage"]["generated"] == 60
    before = llama.chunks(slow)
    assert 0 < len(before) < 20 and len(llama.generator._stalled) == 1
    assert not llama.generator.active() and not llama.turn()  # it costs nothing while it waits
    while not any(name == "DONE" and j == slow for name, j, _ in llama.daemon.sent):
        llama.compute.credit(slow, 300)
        llama.run()
    assert llama.told(slow) == llama.result(slow)["text"] == llama.result(want)["text"]
    assert len(llama.chunks(slow)) > len(before)


def test_what_is_told_never_exceeds_the_credit(llama):
    credit = frames.CHUNK_MAX
    job = llama.ask(PROMPTS[:3], "text-generation", credit, max_new_tokens=30, logprobs=4, do_sample=False, prefill=True)
    for _ in range(10000):
        llama.run()
        spent = sum(len(frames.write("CHUNK", body, j)) - frames.HEADER.size for name, j, body in llama.daemon.sent
                    if name == "CHUNK")
        assert spent <= credit
        if not llama.generator.items():
            break
        credit += 1000
        llama.compute.credit(job, 1000)
    for i in range(3):
        tokens = [t for c in llama.chunks(job, i) for t in c.get("result", {}).get("tokens", [])]
        assert len(tokens) == llama.done(job, i)["usage"]["generated"]
        prefill = [t for c in llama.chunks(job, i) for t in c.get("result", {}).get("prefill", [])]
        assert len(prefill) == llama.done(job, i)["usage"]["tokens"]
        assert llama.told(job, i) == llama.result(job, i)["text"]


@pytest.mark.parametrize("name", ["gen_llama", "gen_mamba"])
def test_cancel_takes_effect_within_a_step(name):
    desk = Desk(model(name))
    jobs = [desk.ask([p], "text-generation", PLENTY, max_new_tokens=60, ignore_eos=True, do_sample=False)
            for p in PROMPTS[:3]]
    desk.turn(5)
    desk.compute.cancel(jobs[1])
    told = len(desk.chunks(jobs[1]))
    desk.turn()
    assert desk.error(jobs[1])["code"] == "cancelled"
    assert len(desk.chunks(jobs[1])) == told and jobs[1] not in [i.job.id for i in desk.generator.items()]
    desk.run()
    assert [desk.done(j)["usage"]["generated"] for j in (jobs[0], jobs[2])] == [60, 60]


def test_cancel_ends_a_prefill_before_the_next_layer(llama):
    seen = []
    layer = model("gen_llama").model.model.layers[0]

    def cancel(*a):
        seen.append(1)
        llama.compute.cancel(1)
    handle = layer.register_forward_hook(cancel)
    later = model("gen_llama").model.model.layers[1].register_forward_hook(lambda *a: seen.append(2))
    try:
        assert llama.ask([[9] * 100], max_new_tokens=5) == 1
        llama.turn(3)
    finally:
        handle.remove()
        later.remove()
    assert seen == [1] and not llama.generator.items()
    job = llama.ask(["one"], max_new_tokens=5, do_sample=False)
    llama.run()
    assert llama.done(job)["usage"]["generated"] <= 5


def test_a_step_that_is_broken_off_leaves_no_trace(llama):
    """All streams of a lane cancelled in the middle of a layer; and one that fails."""
    want = llama.ask([PROMPTS[1]], max_new_tokens=20, do_sample=False)
    llama.run()
    layer = model("gen_llama").model.model.layers[1]
    job = llama.ask([PROMPTS[1]], max_new_tokens=20, do_sample=False)
    llama.turn(6)
    lane = llama.generator._lanes[0]
    row = lane.streams[0]

    def fail(*a):
        raise RuntimeError("a layer that fails once")
    handle = layer.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError), torch.inference_mode():
        lane.step([row.token])
    handle.remove()
    llama.run()
    assert llama.result(job)["text"] == llama.result(want)["text"]


def test_deadlines_end_streams_that_run_wait_or_stall(llama):
    soon = time.monotonic_ns() + 10**12
    jobs = [llama.ask(["one"], "text-generation", credit, deadline_ns=soon, max_new_tokens=200, ignore_eos=True)
            for credit in (PLENTY, frames.CHUNK_MAX)]
    llama.turn(20)
    llama.generator.expire(soon)
    assert [llama.error(j)["code"] for j in jobs] == ["deadline"] * 2
    assert not llama.generator.items() and not llama.generator._lanes


def test_streams_wait_for_room(llama):
    llama.generator._kv_bytes = 80 * llama.generator._token_bytes
    jobs = [llama.ask(["one"], max_new_tokens=30, do_sample=False, ignore_eos=True) for _ in range(5)]
    most = 0
    while llama.turn():
        g = llama.generator
        begun = [*g._reading, *g._running, *g._stalled]
        most = max(most, len(begun))
        assert len(begun) <= 1 or sum(s.most for s in begun) <= 80
    assert most == 2 and all(llama.done(j)["usage"]["generated"] == 30 for j in jobs)


def test_a_stream_longer_than_all_room_runs_alone(llama):
    llama.generator._kv_bytes = 0
    job = llama.ask(["one", "one two"], max_new_tokens=10, ignore_eos=True)
    llama.run()
    assert llama.done(job, 1)["usage"]["generated"] == 10


def test_padding_beyond_its_bounds_opens_another_lane(llama):
    llama.generator._padding_bytes = 20 * llama.generator._token_bytes
    long = llama.ask([[9] * 150], max_new_tokens=20, do_sample=False, ignore_eos=True)
    short = [llama.ask(["one"], max_new_tokens=20, do_sample=False, ignore_eos=True) for _ in range(2)]
    llama.turn(4)
    assert sorted(len(lane.streams) for lane in llama.generator._lanes) == [1, 2]
    llama.run()
    texts = [llama.result(j)["text"] for j in short]
    alone = llama.ask(["one"], max_new_tokens=20, do_sample=False, ignore_eos=True)
    llama.run()
    assert texts == [llama.result(alone)["text"]] * 2 and llama.result(long)["finish"] == "length"


# ---- chat ----

def test_conversations_are_read_as_templates_want_them(llama):
    from berth_transformers.tasks.text_generation import messages
    job = Job(1, "chat", {}, [])
    call = {"role": "assistant", "content": None, "tool_calls": [
        {"type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]}
    some = [Part("text", "one", "user"), Part("text", "two"), Part("text", json.dumps(call), "assistant",
                                                                   "application/json")]
    assert messages(Item(job, 0, some)) == [
        {"role": "user", "content": "one\ntwo"},
        {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}]}]
    for bad in ([Part("text", "no role")], [Part("text", "x", "root")], [Part("bytes", b"x", "user")], [],
                [Part("text", "{", "user", "application/json")],
                [Part("text", '{"role": 1}', "user", "application/json")]):
        with pytest.raises(Refused):
            messages(Item(job, 0, bad))


def test_what_a_template_says_reaches_the_user(llama):
    job = llama.ask([[{"role": "user", "content": "x"}, {"role": "system", "content": "y"}]], "chat")
    llama.run()
    assert llama.error(job)["code"] == "invalid_request" and "a system message comes first" in llama.error(job)["text"]


@pytest.mark.parametrize("name", ["messages", "tools", "add_generation_prompt", "eos_token", "chat_template", "_x"])
def test_a_request_cannot_set_what_is_not_its_own(llama, name):
    job = llama.ask([[{"role": "user", "content": "x"}]], "chat", template={name: "z"})
    llama.run()
    assert llama.error(job)["code"] == "invalid_request" and name in llama.error(job)["text"]


_NESTED = ("{% set n = namespace(x=['a'], y=['a']) %}{% for i in range(40) %}{% set n.x = [n.x, n.x] %}"
           "{% set n.y = [n.y, n.y] %}{% endfor %}")
HOSTILE = {
    "attribute": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ raise_exception.__globals__['json'] }}",
    "cycler": "{{ cycler.__init__.__globals__ }}",
    "loop": "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}"
            "{% endfor %}",
    "output": "{% for a in range(99999) %}{% for b in range(99999) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}"
              "{% endfor %}",
    "times": "{{ 'a' * 10**9 }}",
    "power": "{{ 10 ** (10 ** 9) }}",
    "center": "{{ 'a' | center(10**9) }}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "star": "{{ '%*d' % (10**9, 1) }}",
    "format": "{{ '{:1000000000}'.format(1) }}",
    "ljust": "{{ 'a'.ljust(10**9) }}",
    "replace": "{{ ('a' * 9999).replace('a', 'b' * 99999) }}",
    "replaced": "{{ ('a' * 9999) | replace('a', 'b' * 99999) }}",
    "doubling": "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "tilde": "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "nested": _NESTED + "{{ n.x }}",
    "nested text": _NESTED + "{{ (n.x | string) | length }}",
    "nested json": _NESTED + "{{ n.x | tojson }}",
    "nested twins": _NESTED + "{{ n.x == n.y }}",
    "nested sums": "{% set n = namespace(x=['a']) %}{% for i in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "nested calls": "{% set n = namespace(x='a') %}{% for i in range(40) %}{% set n.x = dict(a=n.x, b=n.x) %}{% endfor %}"
                    "{{ n.x | string | length }}",
    "block": "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set y %}{{ n.x }}{{ n.x }}{% endset %}"
             "{% set n.x = y %}{% endfor %}",
    "macro": "{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}{% set n = namespace(x='aaaaaaaa') %}"
             "{% for i in range(60) %}{% set n.x = m(n.x) %}{% endfor %}",
    "join": "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set n.x = [n.x, n.x] | join %}{% endfor %}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "syntax": "{% if %}",
    "include": "{% include '/etc/passwd' %}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_are_refused_in_time(name, monkeypatch):
    desk = Desk(model("gen_llama"))
    monkeypatch.setattr(chat_template, "SECONDS_MAX", 0.3)
    monkeypatch.setattr(desk.compute.model.tokenizer, "chat_template", HOSTILE[name])
    began = time.process_time()
    job = desk.ask([[{"role": "user", "content": "x"}]], "chat")
    after = desk.ask(["one"], max_new_tokens=2)
    desk.run()
    assert desk.error(job)["code"] in ("unsupported_option", "invalid_request")
    assert "template" in desk.error(job)["text"]
    assert desk.done(after) and time.process_time() - began < 5


def test_harmless_templates_of_numbers_and_content_are_not_refused(monkeypatch):
    tokenizer = copy.deepcopy(model("gen_llama").tokenizer)
    tokenizer.chat_template = "{{ '%d' % 1700000000 }} {{ '{}'.format(1700000000) }} {{ messages[0].content | trim }}"
    said = chat_template.ChatTemplate(tokenizer).render([{"role": "user", "content": " 50% of 10000000 {x} "}], None, {},
                                                        False)
    assert said == "1700000000 1700000000 50% of 10000000 {x}"


def test_templates_render_as_transformers_renders_them():
    tokenizer = model("gen_llama").tokenizer
    template = chat_template.ChatTemplate(tokenizer)
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": " b "}]
    for go_on in (False, True):
        for tools in (None, [{"type": "function", "function": {"name": "f"}}]):
            assert template.render(talk, tools, {}, go_on) == tokenizer.apply_chat_template(
                talk, tools=tools, tokenize=False, add_generation_prompt=not go_on, continue_final_message=go_on)


def test_a_model_without_a_template_does_not_chat():
    assert "chat" not in model("gen_gpt2").tasks and model("gen_llama").tasks["chat"].extra() == {"chat": True}


# ---- text to text ----

@pytest.mark.parametrize("case", TEXT_TO_TEXT, ids=lambda c: f"{c['model']}-{c['task']}")
def test_text_to_text_as_the_old_pipelines(case):
    task = model(case["model"], case["task"]).tasks[case["task"]]
    job = Job(1, case["task"], case["params"], [])
    with torch.inference_mode():
        answer, = task.run([task.read(Item(job, 0, [Part("text", case["input"])]))])
    assert answer.result == case["answer"]
    assert answer.tokens and answer.generated


@pytest.mark.parametrize("name, task, params", [
    ("gen_t5", "summarization", {}), ("gen_bart", "summarization", {}),
    ("gen_nllb", "translation", {"src_lang": "eng_Latn", "tgt_lang": "fra_Latn"})])
def test_text_to_text_in_a_batch(name, task, params):
    made = model(name, task).tasks[task]
    texts = ["one", "Where is the old bridge?", "The quick brown fox jumps over the lazy dog."]
    params = {**params, "generate_parameters": {"max_new_tokens": 12}}
    with torch.inference_mode():
        requests = [made.read(Item(Job(1, task, params, []), 0, [Part("text", t)])) for t in texts]
        assert len({r.key for r in requests}) == 1
        assert [a.result for a in made.run(requests)] == [made.run([r])[0].result for r in requests]


def test_text_to_text_ends_at_the_models_positions():
    loaded = model("gen_bart", "summarization")
    params = {"generate_parameters": {"max_new_tokens": 4096, "min_new_tokens": 4096, "num_beams": 1}}
    task, job = loaded.tasks["summarization"], Job(1, "summarization", params, [])
    with torch.inference_mode():
        answer, = task.run([task.read(Item(job, 0, [Part("text", "one")]))])
    assert answer.generated == loaded.config.max_position_embeddings - 1


def test_what_is_drawn_does_not_depend_on_what_runs_beside_it():
    task = model("gen_t5", "summarization").tasks["summarization"]
    params = {"generate_parameters": {"do_sample": True, "seed": 3, "num_beams": 1, "max_new_tokens": 8}}
    requests = [task.read(Item(Job(i, "summarization", params, []), 0, [Part("text", t)])) for i, t in
                enumerate(("one", "Where is the old bridge?"))]
    assert len({r.key for r in requests}) == 2


@pytest.mark.parametrize("params, code", [
    ({"generate_parameters": {"assistant_model": "x"}}, "unsupported_option"),
    ({"generate_parameters": {"custom_generate": "x"}}, "unsupported_option"),
    ({"generate_parameters": {"num_beams": 10**6}}, "invalid_request"),
    ({"generate_parameters": {"max_new_tokens": True}}, "invalid_request"),
    ({"generate_parameters": {"max_new_tokens": 2**62}}, "invalid_request"),
    ({"generate_parameters": {"typical_p": 0.0}}, "invalid_request"),
    ({"generate_parameters": {"forced_bos_token_id": 99999}}, "invalid_request"),
    ({"generate_parameters": {"cache_implementation": "static"}}, "unsupported_option"),
    ({"generate_parameters": {"prompt_lookup_num_tokens": 3}}, "unsupported_option"),
    ({"generate_parameters": {"temperature": float("nan")}}, "invalid_request"),
    ({"truncation": "sometimes"}, "invalid_request"), ({"top_k": 1}, "unsupported_option"),
    ({"src_lang": "en", "tgt_lang": "xx"}, "invalid_request")], ids=str)
def test_text_to_text_refuses(params, code):
    task = model("gen_t5", "translation").tasks["translation"]
    with pytest.raises(Refused) as e:
        task.read(Item(Job(1, "translation", params, []), 0, [Part("text", "x")]))
    assert e.value.code == code


@pytest.mark.parametrize("params", [{}, {"src_lang": "eng_Latn"}, {"src_lang": "eng_Latn", "tgt_lang": "xxx_Latn"},
                                    {"src_lang": "one", "tgt_lang": "fra_Latn"}], ids=str)
def test_languages_that_a_model_does_not_have(params):
    task = model("gen_nllb", "translation").tasks["translation"]
    with pytest.raises(Refused) as e:
        task.read(Item(Job(1, "translation", params, []), 0, [Part("text", "x")]))
    assert e.value.code == "invalid_request"


def test_text_to_text_is_cancelled_within_a_step():
    desk = Desk(model("gen_bart", "summarization"))
    calls = []
    layer = desk.compute.model.model.model.decoder.layers[0]

    def cancel(*a):
        calls.append(1)
        if len(calls) == 3:
            desk.compute.cancel(1)
    handle = layer.register_forward_hook(cancel)
    try:
        assert desk.ask(["The quick brown fox"], "summarization") == 1
        desk.run()
    finally:
        handle.remove()
    assert len(calls) == 3 and desk.error(1)["code"] == "cancelled"


# ---- in the process ----

def test_a_chat_is_streamed_by_the_process():
    child = server.Server("-m", "berth_transformers")
    try:
        ready = child.ready(TASKS / "gen_llama")
        assert {"chat", "text-generation"} <= set(ready["tasks"]) and ready["extra"]["chat"] is True
        case = next(c for c in GOLDEN if c["task"] == "chat" and "tools" not in c["params"])
        parts = [{"k": "text", "role": m["role"], "d": m["content"].encode()} for m in case["input"]]
        child.send("JOB", {"task": "chat", "items": [parts], "credit": frames.CHUNK_MAX,
                           "params": {"max_new_tokens": 24, "do_sample": False}}, job=7)
        said, frame = [], child.recv(server.START_S)
        while frame.type != "DONE":
            if frame.type == "CHUNK":
                said.append(frame.body["parts"][0]["d"].decode())
                child.send("CREDIT", {"bytes": 100}, job=7)
            frame = child.recv(60)
        child.recv_until("CREDIT")
        assert "".join(said) == frame.body["result"]["text"] == case["text"] and len(said) > 5
    finally:
        assert child.end() == 0


# ---- real weights ----

@pytest.fixture(scope="module")
def smollm2():
    place = os.environ.get("BERTH_TEST_MODELS") or Path.home() / ".cache/berth/models"
    folder = Path(place, "HuggingFaceTB/SmolLM2-135M-Instruct")
    if not (folder / "model.safetensors").is_file():
        pytest.skip("SmolLM2-135M-Instruct is not there: script/setup test")
    return loading.load(folder, task="chat", device="cpu")


def test_real_conversations_side_by_side(smollm2):
    asked = ["What is the capital of France?", "Write a haiku about the sea.", "Name five rivers of Europe.",
             "Wie heißt die Hauptstadt von Japan (東京)? 😀"]
    desk = Desk(smollm2)
    talks = [[{"role": "user", "content": text}] for text in asked]
    job = desk.ask(talks, "chat", PLENTY, max_new_tokens=24, do_sample=False)
    desk.run()
    for i, talk in enumerate(talks):
        ids = smollm2.tokenizer.apply_chat_template(talk, add_generation_prompt=True, return_dict=False)
        alone = ids_of(smollm2.model, ids, do_sample=False, max_new_tokens=24)
        assert desk.told(job, i) == desk.result(job, i)["text"] == smollm2.tokenizer.decode(alone,
                                                                                         skip_special_tokens=True)
