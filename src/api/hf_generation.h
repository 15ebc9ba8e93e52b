/* api/hf_generation.h - text-generation of the Hugging Face Inference API. */
#ifndef API_HF_GENERATION_H
#define API_HF_GENERATION_H
#include "api/call.h"

/* Answers {"inputs", "parameters", "stream"}. */
void hf_generate(const struct call *c, const char *model);

#endif
