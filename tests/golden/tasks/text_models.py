"""The tiny seeded models of make_text.py: config.json, model.safetensors, the tokenizer's files, README.md.

Two layers of width 32. Weights are uniform numbers from numpy's PCG64, the same on every machine, a stream for each
tensor (by its name); what stands before a softmax is larger than the rest (GAIN), so that the best answer stands out.
"""
import json
import zlib

import numpy as np
import torch
import transformers

HIDDEN, POSITIONS = 32, 64
WORDS = """the a an of and to in is was are were be it that this for on with as by at from not or but his her they we you
i he she who what where when why how which did do does has have had will can may my your their our its one two three four
man woman child people king queen doctor teacher river city town village country house ship harbor sea mountain water
london paris berlin rome madrid oslo europe africa anna peter maria john sarah george university bank company museum
train music film book game team player price market weather summer winter morning night day year food bread fish apple
good bad great terrible wonderful happy sad angry new old big small long short red green blue white black fast slow
went came said saw bought sold built found lost won played wrote born lived lives live works work founded opened closed
sports politics business science travel health urgent phone computer example text about sentence question answer name
capital population rain sun snow wind never always today yesterday tomorrow after before more most very only also
number age actors movies date birth total average sum repository stars contributors 1 2 3 4 5 6 7 8 9 10 12 20 45 56 59
69 87 100 1987 1990 2001 2024""".split()
ENDINGS = ["ing", "ed", "s", "er", "est", "ly", "land", "burg", "ton", "ia", "an", "ish"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
MARKS = list(".,!?;:-'\"()/>#$%&")
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NAMES = "Anna Peter Maria John Sarah George London Paris Berlin Rome Madrid Oslo Europe Africa".split()
LINEAR, QUERY, EMBEDDING, NORM = 1.2, 2.5, 1.0, 0.3  # deviation: of a linear layer times sqrt(inputs), ...


def bert_vocabulary(cased):
    pieces = [x for c in LETTERS for x in (c, "##" + c)]
    words = WORDS + (NAMES + [c.upper() for c in LETTERS if c.isalpha()] if cased else [])
    return list(dict.fromkeys(BERT_SPECIALS + pieces + MARKS + words + ["##" + e for e in ENDINGS]))


def write_bert_tokenizer(folder, cased):
    """WordPiece, as BERT's; answers the vocabulary's size."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    words = bert_vocabulary(cased)
    ids = {w: i for i, w in enumerate(words)}
    t = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=not cased)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    t.decoder = decoders.WordPiece()
    t.add_special_tokens(BERT_SPECIALS)
    t.save(str(folder / "tokenizer.json"))
    write(folder / "tokenizer_config.json", {
        "tokenizer_class": "BertTokenizer", "do_lower_case": not cased, "model_max_length": POSITIONS,
        **{f"{n}_token": s for n, s in zip(("pad", "unk", "cls", "sep", "mask"), BERT_SPECIALS)}})
    return len(words)


def byte_letters():
    """The letter that byte-level BPE writes for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(others)}


def write_roberta_tokenizer(folder):
    """Byte-level BPE, as RoBERTa's; answers the vocabulary's size."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    words, merges = specials + list(byte_letters().values()), {}
    for word in WORDS[:130]:
        made = "\u0120"
        for letter in word:
            merges[made, letter] = None
            made += letter
            words.append(made)
    words = list(dict.fromkeys(words)) + ["<mask>"]
    ids = {w: i for i, w in enumerate(words)}
    t = Tokenizer(models.BPE(ids, list(merges), continuing_subword_prefix="", end_of_word_suffix=""))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    t.add_special_tokens([*specials, AddedToken("<mask>", lstrip=True)])
    t.save(str(folder / "tokenizer.json"))
    write(folder / "tokenizer_config.json", {
        "tokenizer_class": "RobertaTokenizer", "model_max_length": POSITIONS, "bos_token": "<s>", "cls_token": "<s>",
        "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"})
    return len(words)


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def config_of(family, vocab, labels=None, **more):
    common = {"vocab_size": vocab, "hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 4,
              "intermediate_size": 64, "hidden_act": "gelu", **more}
    if labels:
        common |= {"id2label": dict(enumerate(labels)), "label2id": {n: i for i, n in enumerate(labels)}}
    if family == "roberta":  # its positions begin behind the one of padding, which is 1
        return transformers.RobertaConfig(max_position_embeddings=POSITIONS + 2, type_vocab_size=1, pad_token_id=1,
                                          bos_token_id=0, eos_token_id=2, **common)
    if family == "tapas":
        return transformers.TapasConfig(max_position_embeddings=128, type_vocab_sizes=[3, 16, 16, 2, 16, 16, 10],
                                        max_num_rows=16, max_num_columns=16, **common)
    return transformers.BertConfig(max_position_embeddings=POSITIONS, type_vocab_size=2, pad_token_id=0, **common)


def deviation(name, shape, head, gain):
    if any(name.startswith(h) for h in head) and len(shape) > 1:
        return gain / shape[-1] ** 0.5
    if "embeddings" in name and len(shape) == 2:
        return EMBEDDING
    if len(shape) < 2:
        return NORM if "LayerNorm" in name else 0.1
    return (QUERY if ".query." in name or ".key." in name else LINEAR) / shape[-1] ** 0.5


def fill(model, seed, head, gain):
    """Every weight anew. head: beginnings of the names of the head's tensors."""
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            rng = np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode())]))
            shape = tuple(tensor.shape)
            values = (rng.random(shape, dtype=np.float32) - np.float32(0.5)) * np.float32(12 ** 0.5)
            values *= np.float32(deviation(name, shape, head, gain))
            if "LayerNorm.weight" in name or "layer_norm.weight" in name:
                values += np.float32(1)
                values *= np.float32(gain if name in head else 1)
            tensor.copy_(torch.from_numpy(np.asarray(values)))


def make(folder, task, auto, family, seed, head=(), gain=1.0, cased=False, library="transformers", **config):
    """One folder: a model of class auto, whose README.md says what it is for."""
    folder.mkdir(parents=True, exist_ok=True)
    vocab = write_roberta_tokenizer(folder) if family == "roberta" else write_bert_tokenizer(folder, cased)
    if family == "tapas":
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.txt").write_text("\n".join([*bert_vocabulary(cased), "[EMPTY]"]) + "\n")
        write(folder / "tokenizer_config.json", {"tokenizer_class": "TapasTokenizer", "do_lower_case": True,
                                                 "model_max_length": 128, "cell_trim_length": -1})
        vocab += 1
    model = getattr(transformers, auto).from_config(config_of(family, vocab, **config)).eval()
    fill(model, seed, head, gain)
    model.save_pretrained(folder)
    for extra in folder.glob("generation_config.json"):
        extra.unlink()
    (folder / "README.md").write_text(
        f"---\nlicense: apache-2.0\npipeline_tag: {task}\nlibrary_name: {library}\n---\n"
        f"A tiny model with random weights (seed {seed}), to test {task} with. Made by make_text.py.\n")
