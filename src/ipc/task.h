/* ipc/task.h - what each task takes and gives, in items, parameters and parts.
 *
 * The protocols (api/) write these jobs, the pipelines (pipeline/) answer them.
 * An unknown parameter is refused with E_UNSUPPORTED_OPTION, one of another
 * kind with E_INVALID_REQUEST; the sentence names it.
 *
 * feature-extraction
 *   item    one part: text, or tokens (then taken as they are: no prompt, no
 *           special tokens added)
 *   params  normalize: bool (default: what the model's modules say)
 *           pooled: bool (default: true when the model has a pooling module);
 *             true without one: the mean of its tokens
 *           truncate: bool, default false: a longer text is E_INPUT_TOO_LONG
 *           truncation_direction: "right" (default) or "left"
 *           prompt_name: one of the model's prompts
 *           dimensions: uint, where the model supports fewer
 *   result  one tensor f32: [dim], or [tokens][dim] when not pooled
 *
 * sentence-similarity
 *   item    2 .. FRAME_PARTS_MAX texts: the first with the role "source", the
 *           others with the role "sentence"
 *   params  truncate (default true), truncation_direction, prompt_name
 *   result  one tensor f32 [sentences]: the cosine of each to the source
 *
 * fill-mask
 *   item    one text
 *   params  top_k: uint (default 5); targets: [text]; truncate (default false)
 *   result  DONE's "result": one list for each mask in the text, in order, of
 *           {score: float, token: uint, token_str: text, sequence: text}, best
 *           first
 *
 * READY's "extra" may hold: pooling, mask_token: text; prompts: [text];
 * default_prompt: text; normalize: bool; dimensions: bool (fewer may be asked
 * for). DONE's usage has tokens: of the item, special tokens included.
 */
#ifndef IPC_TASK_H
#define IPC_TASK_H

#define TASK_FEATURE_EXTRACTION  "feature-extraction"
#define TASK_SENTENCE_SIMILARITY "sentence-similarity"
#define TASK_FILL_MASK           "fill-mask"

#endif
