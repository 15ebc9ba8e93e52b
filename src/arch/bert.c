/* arch/bert.c - BERT: learned positions and token types, post-norm blocks. */
#include "arch/family.h"
#include "model/damage.h"

static void check_bert(const struct config *c, struct problems *problems)
{
    struct str kind;
    char text[DAMAGE_VALUE];
    bool decoder = false;
    struct json position = config_get(c, "position_embedding_type");
    if (json_type(position) != JSON_NONE &&
        !(json_to_str(position, &kind) && str_is(kind, "absolute")))
        problem_add(problems, "position_embedding_type",
                    "%s asks for %s, this engine computes 'absolute' alone",
                    c->file, damage_value(position, text));
    json_to_bool(config_get(c, "is_decoder"), &decoder);
    if (decoder)
        problem_add(problems, "is_decoder",
                    "%s makes this BERT a decoder; only encoders are computed",
                    c->file);
}

extern const struct family family_bert;
const struct family family_bert = {
    .model_types = {"bert"},
    .prefixes = {"bert.", ""},
    .body_class = "BertModel",
    .masked_classes = {"BertForMaskedLM", "BertForPreTraining"},
    .keys =
        {
            .hidden = "hidden_size",
            .layers = "num_hidden_layers",
            .heads = "num_attention_heads",
            .ffn = "intermediate_size",
            .vocab = "vocab_size",
            .positions = "max_position_embeddings",
            .types = "type_vocab_size",
            .act = "hidden_act",
            .eps = "layer_norm_eps",
        },
    .eps = 1e-12,
    .slots =
        {
            [SLOT_WORDS] = "embeddings.word_embeddings",
            [SLOT_POSITIONS] = "embeddings.position_embeddings",
            [SLOT_TYPES] = "embeddings.token_type_embeddings",
            [SLOT_EMBED_NORM] = "embeddings.LayerNorm",
            [SLOT_Q] = "encoder.layer.#.attention.self.query",
            [SLOT_K] = "encoder.layer.#.attention.self.key",
            [SLOT_V] = "encoder.layer.#.attention.self.value",
            [SLOT_O] = "encoder.layer.#.attention.output.dense",
            [SLOT_ATTEND_NORM] = "encoder.layer.#.attention.output.LayerNorm",
            [SLOT_UP] = "encoder.layer.#.intermediate.dense",
            [SLOT_DOWN] = "encoder.layer.#.output.dense",
            [SLOT_FFN_NORM] = "encoder.layer.#.output.LayerNorm",
            [SLOT_HEAD_DENSE] = "cls.predictions.transform.dense",
            [SLOT_HEAD_NORM] = "cls.predictions.transform.LayerNorm",
            [SLOT_HEAD_DECODER] = "cls.predictions.decoder",
            [SLOT_HEAD_BIAS] = "cls.predictions.bias",
        },
    .check = check_bert,
};
