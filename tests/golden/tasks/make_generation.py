#!/usr/bin/env python3
"""Tiny seeded models that generate text, and what Transformers answers with them.

    PYTHON make_generation.py models        the folders gen_*, and the answers of text-generation (transformers 5.24.0)
    PYTHON make_generation.py text-to-text  the answers of summarization, translation and text2text-generation, of the
                                            pipelines of transformers 4.57.6 (first on PYTHONPATH)

Weights are drawn wide, so that the best token stands out and attention matters; a text that comes out otherwise in
double precision is no golden, and the script says so. Answers go to generation.json and text_to_text.json.
"""
import json
import pathlib
import sys

import tokenizers
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).resolve().parent
SPECIAL = ["<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>", "<|tool|>", "<unk>"]
CORPUS = ["The quick brown fox jumps over the lazy dog.", "A model answers with words that it has seen before.",
          "Größe, naïve café, 東京 and Москва; 😀 is a face.", "one two three four five six seven eight nine ten",
          '{"name": "weather", "arguments": {"city": "Paris"}}', "Where is the station? It is near the old bridge."]
CHAT = """{%- if tools %}{{ '<|system|>tools: ' }}{% for t in tools %}{{ t | tojson }}{% endfor %}{{ eos_token }}
{%- endif %}
{%- for m in messages %}
{%- if m.role == 'system' and not loop.first %}{{ raise_exception('a system message comes first') }}
{%- endif %}
{{- '<|' + m.role + '|>' + (m.content or '') }}
{%- for c in m.tool_calls or [] %}{{ c.function.name + '(' + c.function.arguments | tojson + ')' }}{% endfor %}
{{- eos_token }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"""


def bpe(ends=False):
    """A byte-level tokenizer with 320 tokens; ends: "</s>" goes after each text."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    if ends:
        made.post_processor = processors.TemplateProcessing(
            single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", SPECIAL.index("</s>"))])
    return made


def save_tokenizer(folder, ends=False, chat=None, context=128):
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe(ends), pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        extra_special_tokens=SPECIAL[3:7], model_max_length=context)
    made.chat_template = chat
    made.save_pretrained(folder, save_jinja_files=False)
    name_class(folder, "PreTrainedTokenizerFast")


def name_class(folder, name):
    """The tokenizer's class, and its special tokens, by names that both versions know."""
    file = folder / "tokenizer_config.json"
    said = json.loads(file.read_text())
    said["additional_special_tokens"] = said.pop("extra_special_tokens")
    file.write_text(json.dumps({**said, "tokenizer_class": name}, indent=2) + "\n")


IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "vocab_size": 320}
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256, "tie_word_embeddings": False}
SEQ = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
       "encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 128,
       "decoder_start_token_id": 2, "forced_eos_token_id": None}


def causal():
    """Folder to (config, seed, chat template)."""
    return {
        "gen_llama": (transformers.LlamaConfig(**IDS, **SMALL), 3, CHAT),
        "gen_gpt2": (transformers.GPT2Config(**IDS, n_embd=32, n_layer=2, n_head=4, n_positions=128, n_inner=48,
                                             tie_word_embeddings=False), 5, None),
        "gen_window": (transformers.MistralConfig(**IDS, **SMALL, sliding_window=8), 7, None),
        "gen_mixed": (transformers.Gemma3TextConfig(**IDS, **SMALL, sliding_window=8, query_pre_attn_scalar=8,
                                                    layer_types=["sliding_attention", "full_attention"]), 9, None),
        "gen_mamba": (transformers.MambaConfig(**IDS, hidden_size=32, num_hidden_layers=2, state_size=4,
                                               tie_word_embeddings=False), 11, None),
    }


def seq2seq():
    pairs = {"translation_en_to_fr": {"prefix": "translate English to French: ", "max_length": 24},
             "translation_en_to_de": {"prefix": "translate English to German: ", "max_length": 24},
             "summarization": {"prefix": "summarize: ", "max_length": 20, "min_length": 6, "length_penalty": 2.0,
                               "early_stopping": True, "num_beams": 4}}
    return {
        "gen_t5": (transformers.T5Config(**IDS, d_model=32, d_kv=8, d_ff=48, num_layers=1, num_heads=4,
                                         decoder_start_token_id=0, task_specific_params=pairs), 116),
        "gen_bart": (transformers.BartConfig(**IDS, **SEQ), 43),
        "gen_nllb": (transformers.M2M100Config(**{**IDS, "pad_token_id": 1, "bos_token_id": 0, "vocab_size": 62}, **SEQ,
                                              scale_embedding=False, tie_word_embeddings=False), 53),
    }


def draw(network, seed):
    torch.manual_seed(seed)
    inner = 6.0 if network.config.model_type == "t5" else 1.5  # what a layer adds, beside the token itself
    for name, p in network.named_parameters():
        if p.ndim >= 2 and "conv1d" not in name and "A_log" not in name:
            table = any(word in name for word in ("embed", "wte", "wpe", "shared"))
            wide = 1.0 if table else inner / p.shape[-1]**0.5
            torch.nn.init.normal_(p, std=wide)
    return network.eval()


def make_models():
    for name, (config, seed, chat) in causal().items():
        network = draw(transformers.AutoModelForCausalLM.from_config(config), seed)
        if name == "gen_gpt2":
            network.generation_config.repetition_penalty = 1.3
        network.save_pretrained(HERE / name)
        save_tokenizer(HERE / name, chat=chat, context=128 if name == "gen_gpt2" else 256)
    for name, (config, seed) in seq2seq().items():
        network = draw(transformers.AutoModelForSeq2SeqLM.from_config(config), seed)
        if name == "gen_bart":
            network.generation_config.update(max_length=24, min_length=5, no_repeat_ngram_size=3)
        network.save_pretrained(HERE / name)
        if name == "gen_nllb":
            save_nllb(HERE / name)
        else:
            save_tokenizer(HERE / name, ends=True)


def save_nllb(folder):
    vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    for word in sorted("".join(CORPUS).replace(" ", "▁")):
        vocab.setdefault(word, len(vocab))
    made = transformers.NllbTokenizer(vocab=vocab, merges=[], src_lang="eng_Latn", model_max_length=128,
                                      additional_special_tokens=["eng_Latn", "fra_Latn", "deu_Latn"])
    made.save_pretrained(folder)
    name_class(folder, "NllbTokenizerFast")


MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is the old bridge?"}]
CALLS = [{"role": "user", "content": "The weather in Paris?"},
         {"role": "assistant", "content": "", "tool_calls": [
             {"type": "function", "function": {"name": "weather", "arguments": {"city": "Paris"}}}]},
         {"role": "tool", "content": "sunny"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
PROMPTS = ["The quick brown", "Where is the station? It is near the old bridge, over the river, and then", "東京 😀",
           "one"]

# (model, task, input, options of the pipeline): what is compared, field for field.
GENERATION = [
    *[(name, "text-generation", prompt, {"max_new_tokens": 24, "return_full_text": False})
      for name in causal() for prompt in PROMPTS],
    ("gen_llama", "text-generation", PROMPTS[0], {"max_new_tokens": 12, "return_full_text": True}),
    ("gen_llama", "text-generation", PROMPTS[0], {"max_new_tokens": 24, "repetition_penalty": 1.5,
                                                  "return_full_text": False}),
    ("gen_llama", "chat", MESSAGES, {"max_new_tokens": 24}),
    ("gen_llama", "chat", CALLS, {"max_new_tokens": 24, "tools": TOOLS}),
    ("gen_llama", "chat", [*MESSAGES, {"role": "assistant", "content": "It is"}], {"max_new_tokens": 16}),
]
SAMPLING = [("gen_llama", PROMPTS[1], seed, {"max_new_tokens": 24, "temperature": 0.8, "top_k": 20, "top_p": 0.9})
            for seed in (1, 2)] + [("gen_gpt2", PROMPTS[0], 3, {"max_new_tokens": 24, "temperature": 1.0, "min_p": 0.05, "top_k": 0})]

TEXT = "The quick brown fox jumps over the lazy dog. Where is the station? It is near the old bridge."
TEXT_TO_TEXT = [
    ("gen_t5", "summarization", TEXT, {}, {}),
    ("gen_t5", "summarization", TEXT, {}, {"min_new_tokens": 9, "max_new_tokens": 12}),
    ("gen_t5", "text2text-generation", TEXT, {}, {"max_new_tokens": 12}),
    ("gen_t5", "translation_en_to_fr", "Where is the station?", {}, {}),
    ("gen_t5", "translation_en_to_de", "Where is the station?", {}, {}),
    ("gen_bart", "summarization", TEXT, {}, {}),
    ("gen_bart", "summarization", TEXT, {}, {"max_length": 12, "num_beams": 1}),
    ("gen_bart", "text2text-generation", "one two three", {}, {"length_penalty": 0.5, "num_beams": 2}),
    ("gen_nllb", "translation", "one two", {"src_lang": "eng_Latn", "tgt_lang": "fra_Latn"}, {"max_new_tokens": 16}),
    ("gen_nllb", "translation", "Where is it?", {"src_lang": "fra_Latn", "tgt_lang": "deu_Latn"}, {"max_new_tokens": 16}),
]


def pipeline(task, name, dtype):
    return transformers.pipeline(task, model=str(HERE / name), dtype=dtype, device="cpu")


def generation():
    cases = []
    for name, task, text, options in GENERATION:
        out = []
        for dtype in (torch.float32, torch.float64):
            said = pipeline("text-generation", name, dtype)(text, do_sample=False, **options)[0]["generated_text"]
            out.append(said[-1]["content"] if task == "chat" else said)
        check(name, text, *out)
        cases.append({"model": name, "task": task, "input": text, "params": options, "text": out[0]})
    for name, prompt, seed, options in SAMPLING:
        pipe = pipeline("text-generation", name, torch.float32)
        torch.manual_seed(seed)
        said = pipe(prompt, do_sample=True, return_full_text=False, **options)[0]["generated_text"]
        cases.append({"model": name, "task": "text-generation", "input": prompt, "text": said,
                      "params": {**options, "do_sample": True, "seed": seed}})
    return cases


def text_to_text():
    cases = []
    for name, task, text, options, parameters in TEXT_TO_TEXT:
        out = [pipeline(task, name, dtype)(text, **options, **parameters)[0]
               for dtype in (torch.float32, torch.float64)]
        check(name, text, *out)
        words = task.split("_")
        if len(words) == 4:
            task, options = words[0], {"src_lang": words[1], "tgt_lang": words[3]}
        params = {**options, **({"generate_parameters": parameters} if parameters else {})}
        cases.append({"model": name, "task": task, "input": text, "params": params, "answer": out[0]})
    return cases


def check(name, text, single, double):
    if single != double:
        sys.exit(f"{name}: {text!r} gives {single!r}, in double precision {double!r}: draw another seed")


def write(name, cases):
    versions = {m.__name__: m.__version__ for m in (transformers, torch, tokenizers)}
    lines = ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases)
    (HERE / name).write_text(f'{{"versions": {json.dumps(versions)},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    if sys.argv[1] == "models":
        make_models()
        write("generation.json", generation())
    else:
        write("text_to_text.json", text_to_text())
