/* arch/distilbert.c - DistilBERT: BERT without token types, other names. */
#include "arch/family.h"

extern const struct family family_distilbert;
const struct family family_distilbert = {
    .model_types = {"distilbert"},
    .prefixes = {"distilbert.", ""},
    .body_class = "DistilBertModel",
    .masked_classes = {"DistilBertForMaskedLM"},
    .keys =
        {
            .hidden = "dim|hidden_size",
            .layers = "n_layers|num_hidden_layers",
            .heads = "n_heads|num_attention_heads",
            .ffn = "hidden_dim",
            .vocab = "vocab_size",
            .positions = "max_position_embeddings",
            .act = "activation",
        },
    .eps = 1e-12,
    .slots =
        {
            [SLOT_WORDS] = "embeddings.word_embeddings",
            [SLOT_POSITIONS] = "embeddings.position_embeddings",
            [SLOT_EMBED_NORM] = "embeddings.LayerNorm",
            [SLOT_Q] = "transformer.layer.#.attention.q_lin",
            [SLOT_K] = "transformer.layer.#.attention.k_lin",
            [SLOT_V] = "transformer.layer.#.attention.v_lin",
            [SLOT_O] = "transformer.layer.#.attention.out_lin",
            [SLOT_ATTEND_NORM] = "transformer.layer.#.sa_layer_norm",
            [SLOT_UP] = "transformer.layer.#.ffn.lin1",
            [SLOT_DOWN] = "transformer.layer.#.ffn.lin2",
            [SLOT_FFN_NORM] = "transformer.layer.#.output_layer_norm",
            [SLOT_HEAD_DENSE] = "vocab_transform",
            [SLOT_HEAD_NORM] = "vocab_layer_norm",
            [SLOT_HEAD_DECODER] = "vocab_projector",
            [SLOT_HEAD_BIAS] = "vocab_projector.bias",
        },
};
