"""Where the keys and values of running streams are: one forward for all streams of a lane, and the way into one.

A stream begins in a Prompt, which runs the model over its prompt, alone and piece by piece, as generate() does. Its
keys and values then move into a Lane: rows of one buffer for each layer, aligned at their last column, so that a step
appends one column for all rows. Rows come and go between steps; what a shorter row lacks on the left is masked. The
positions are each row's own, so that a stream sees what it would see alone, but for rounding.

A model whose state cannot be cut into rows of keys and values (state space, linear attention, compressed or shared
caches, positions that depend on the longest row) stays in its Prompt, one stream a forward (mergeable() decides).
All of it runs in the compute thread; lengths are in tokens, sizes in bytes.
"""
import inspect

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer
from transformers.generation import GenerationConfig
from transformers.generation.configuration_utils import GenerationMode

PREFILL_CHUNK = 256  # tokens of a prompt in one forward, so that streams that run wait no longer than that
ROWS_MAX = 32  # of a lane
COLUMNS_STEP = 64  # a lane's buffer grows by so many columns, or by a quarter


def _rope_depends_on_length(rope):
    """Whether the positions of one row would change with the longest row beside it."""
    if not isinstance(rope, dict):
        return False
    if rope.get("rope_type") in ("dynamic", "longrope"):
        return True
    return any(_rope_depends_on_length(value) for value in rope.values())


def mergeable(network):
    """Whether the model's cache is nothing but keys and values in order. network: a torch module that can generate.
    Only a candidate: what does not behave so is found out by lanes_agree()."""
    config = network.config.get_text_config(decoder=True)
    if network.config.is_encoder_decoder or not network._supports_default_dynamic_cache():
        return False
    if _rope_depends_on_length(getattr(config, "rope_parameters", None)):
        return False
    if "chunked_attention" in (getattr(config, "layer_types", None) or ()):
        return False
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in DynamicCache(config=config).layers)


class Prompt:
    """One stream by itself: its prompt, and where it cannot join a lane its steps too.

    ids: the prompt. whole: read it in one forward (what cannot be cut). forward() reads the next piece."""

    def __init__(self, network, ids, whole):
        self.network = network
        self.ids = torch.tensor([ids], device=network.device)
        self.piece = len(ids) if whole else PREFILL_CHUNK
        self.done = 0  # tokens read
        kwargs = {"attention_mask": torch.ones_like(self.ids), "use_cache": True}
        settings = GenerationConfig()
        network._prepare_cache_for_generation(settings, kwargs, GenerationMode.GREEDY_SEARCH, 1, len(ids))
        if "position_ids" in inspect.signature(network.forward).parameters:
            kwargs["position_ids"] = network._prepare_position_ids_for_generation(self.ids, kwargs)
        self.kwargs = kwargs

    def forward(self, every=False):
        """Reads the next piece. Returns the logits [1, 1, vocabulary] (every: of each of its tokens), f32 or less."""
        network, end = self.network, min(self.done + self.piece, self.ids.shape[1])
        kwargs = dict(self.kwargs)
        if network._supports_logits_to_keep():
            kwargs["logits_to_keep"] = 0 if every else 1
        kwargs["attention_mask"] = kwargs["attention_mask"][:, :end]
        if "position_ids" in kwargs:
            kwargs["position_ids"] = kwargs["position_ids"][..., self.done:end]
        inputs = network.prepare_inputs_for_generation(
            self.ids[:, self.done:end], is_first_iteration=self.done == 0, **kwargs)
        out = network(**inputs, return_dict=True)
        if "cache" in out:
            self.kwargs["cache"] = out["cache"]
        self.last, self.done = out, end
        return out.logits if every else out.logits[:, -1:]

    @property
    def left(self):
        return self.ids.shape[1] - self.done

    @property
    def cost(self):
        """Tokens of the next piece."""
        return min(self.piece, self.left)

    def step(self, token):
        """Appends one token and returns the logits [1, 1, vocabulary]: generate()'s own steps."""
        network = self.network
        self.kwargs = network._update_model_kwargs_for_generation(self.last, self.kwargs)
        self.ids = torch.cat([self.ids, self.ids.new_tensor([[token]])], dim=1)
        inputs = network.prepare_inputs_for_generation(
            self.ids, next_sequence_length=1 if "cache" in self.kwargs else None, **self.kwargs)
        self.last = network(**inputs, return_dict=True)
        return self.last.logits[:, -1:]

    def take(self):
        """Its keys and values, [(keys, values)] by layer, each [heads, tokens, width]; it is over then. A layer with a
        sliding window has fewer tokens: the last ones."""
        layers = [(layer.keys[0], layer.values[0]) for layer in self.kwargs["cache"].layers]
        self.kwargs = self.last = None
        return layers


class LaneLayer(DynamicLayer):
    """One layer of a lane. keys, values: [rows, heads, columns, width]; the rows and columns in use are the lane's."""

    def __init__(self, lane, sliding):
        super().__init__()
        self.lane, self.is_sliding, self.is_initialized = lane, sliding, True

    def update(self, keys, values, *args, **kwargs):
        """Writes the step's column in place; a step that is broken off is written over by the next."""
        lane, n = self.lane, keys.shape[0]
        self.keys[:n, :, lane.end] = keys[:, :, 0]
        self.values[:n, :, lane.end] = values[:, :, 0]
        return self.keys[:n, :, lane.first:lane.end + 1], self.values[:n, :, lane.first:lane.end + 1]

    def get_mask_sizes(self, query_length):
        return self.lane.columns + query_length, 0

    def get_seq_length(self):
        return self.lane.columns


class Lane:
    """Rows that step together. lengths[i]: tokens of row i that are in the cache. streams: the caller's, one a row, at
    the same index; leave() says how they move."""

    def __init__(self, network):
        self.network, self.lengths, self.streams = network, [], []
        self.first = self.end = 0  # the columns in use: [first, end)
        self.rows_max = self.columns_max = 0  # of the buffers
        config = network.config.get_text_config(decoder=True)
        self.layers = [LaneLayer(self, layer.is_sliding) for layer in DynamicCache(config=config).layers]
        self.cache = Cache(layers=self.layers)
        parameters = inspect.signature(network.forward).parameters
        self.positions = "position_ids" in parameters
        self.fixed = {"use_cache": True, "return_dict": True, "cache": self.cache}
        if network._supports_logits_to_keep():
            self.fixed["logits_to_keep"] = 1

    @property
    def columns(self):
        return self.end - self.first

    def padding_with(self, length):
        """Masked columns, over all rows, if a row of that length joined."""
        return (len(self.lengths) + 1) * max(self.columns, length) - sum(self.lengths) - length

    def join(self, layers, length):
        """A row from what Prompt.take() or leave() gave; it gets the last index."""
        row = len(self.lengths)
        if not row:
            self.first = self.end = 0
        self._make_room(row + 1, max(self.columns, length) + 1, layers)
        if length > self.columns:  # _make_room left the buffer's columns free on both sides
            self.first = self.end - length
        for layer, (keys, values) in zip(self.layers, layers):
            start = self.end - keys.shape[-2]
            layer.keys[row, :, start:self.end] = keys
            layer.values[row, :, start:self.end] = values
        self.mask[row] = 0
        self.mask[row, self.end - length:self.end] = 1
        self.lengths.append(length)

    def _make_room(self, rows, columns, like):
        """Buffers with room for so many rows, and for so many columns that end at a free one."""
        if rows <= self.rows_max and self.end >= columns - 1 and self.end < self.columns_max:
            return
        rows_max = max(self.rows_max, 1)
        while rows_max < rows:
            rows_max *= 2
        columns_max = columns + max(COLUMNS_STEP, columns // 4)
        used, n = self.columns, len(self.lengths)
        end = columns - 1
        for layer, (keys, values) in zip(self.layers, like or [(None, None)] * len(self.layers)):
            layer.keys = self._moved(layer.keys, keys, rows_max, columns_max, n, used, end)
            layer.values = self._moved(layer.values, values, rows_max, columns_max, n, used, end)
        mask = torch.zeros(rows_max, columns_max, dtype=torch.long, device=self.network.device)
        if n:
            mask[:n, end - used:end] = self.mask[:n, self.first:self.end]
        self.mask = mask
        self.first, self.end = end - used, end
        self.rows_max, self.columns_max = rows_max, columns_max

    def _moved(self, old, like, rows, columns, n, used, end):
        """The columns in use, in a new buffer, ending before column end. Zeros elsewhere: what is masked must be
        finite."""
        like = old[0] if like is None else like
        new = like.new_zeros(rows, like.shape[0], columns, like.shape[2])
        if n:
            new[:n, :, end - used:end] = old[:n, :, self.first:self.end]
        return new

    def leave(self, row, keep=False):
        """Takes a row out; the last row moves to its index. keep: returns its layers, for join()."""
        layers, length = None, self.lengths[row]
        if keep:
            layers = [(layer.keys[row, :, self.end - length:self.end].clone(),
                       layer.values[row, :, self.end - length:self.end].clone()) for layer in self.layers]
        last = len(self.lengths) - 1
        if row != last:
            for layer in self.layers:
                layer.keys[row, :, self.first:self.end] = layer.keys[last, :, self.first:self.end]
                layer.values[row, :, self.first:self.end] = layer.values[last, :, self.first:self.end]
            self.mask[row] = self.mask[last]
            self.lengths[row] = self.lengths[last]
        self.lengths.pop()
        if self.lengths:
            self.first = self.end - max(self.lengths)
        else:
            self._free()
        return layers

    def _free(self):
        for layer in self.layers:
            layer.keys = layer.values = None
        self.first = self.end = self.rows_max = self.columns_max = 0

    def step(self, tokens):
        """Appends one token to each row. Returns the logits [rows, 1, vocabulary]."""
        n = len(self.lengths)
        self._make_room(n, self.columns + 1, None)
        device = self.network.device
        self.mask[:n, self.end] = 1
        inputs = {"input_ids": torch.tensor(tokens, device=device)[:, None],
                  "attention_mask": self.mask[:n, self.first:self.end + 1]}
        if self.positions:
            inputs["position_ids"] = torch.tensor(self.lengths, device=device)[:, None]
        logits = self.network(**inputs, **self.fixed).logits[:, -1:]
        self.end += 1
        self.lengths = [length + 1 for length in self.lengths]
        return logits

    @property
    def bytes(self):
        """Of the buffers."""
        if not self.rows_max:
            return 0
        return sum(t.numel() * t.element_size() for layer in self.layers for t in (layer.keys, layer.values))


def lanes_agree(network):
    """Whether two streams of different lengths compute the same in a lane as alone: run once, when a model is loaded.
    The tolerance is that of summing in another order; a mask or a position that is wrong is far outside of it.
    Returns the bytes that a token takes in a lane (a window counts as if it had no end), or 0: they do not agree."""
    vocabulary = network.config.get_text_config(decoder=True).vocab_size
    prompts = [[(7 * i + 3) % vocabulary for i in range(n)] for n in (3, 8)]
    alone, layers = [], []
    for ids in prompts:
        prompt = Prompt(network, ids, False)
        prompt.forward()
        copy = [(k.clone(), v.clone()) for k, v in
                ((layer.keys[0], layer.values[0]) for layer in prompt.kwargs["cache"].layers)]
        layers.append(copy)
        alone.append(torch.cat([prompt.step(token)[0] for token in (5 % vocabulary, 11 % vocabulary)]).float())
    lane = Lane(network)
    for ids, copy in zip(prompts, layers):
        lane.join(copy, len(ids))
    together = torch.cat([lane.step([token] * 2) for token in (5 % vocabulary, 11 % vocabulary)], dim=1).float()
    alone = torch.stack(alone)
    spread = float(alone.max() - alone.min()) or 1.0
    tolerance = 1e-4 if network.dtype == torch.float32 else 3e-2
    if not (alone - together).abs().max() <= tolerance * spread:
        return 0
    return sum(t.shape[0] * t.shape[-1] * t.element_size() for pair in layers[0] for t in pair)
