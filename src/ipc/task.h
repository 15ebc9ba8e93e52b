/* ipc/task.h - what each task takes and gives, in items, parameters and parts.
 *
 * The protocols (api/) write these jobs, the native pipelines (pipeline/) and
 * the Transformers server (python/berth_transformers/tasks/) answer them. An
 * unknown parameter is refused with E_UNSUPPORTED_OPTION, one of another kind
 * with E_INVALID_REQUEST; the sentence names it. A parameter that is absent has
 * the value that transformers.pipeline gives it, but where this page says
 * otherwise. "Result" is DONE's tree "result", unless it says parts.
 *
 * ---- text -----------------------------------------------------------------
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
 *   result  one part, tensor f32: [dim], or [tokens][dim] when not pooled
 *
 * sentence-similarity
 *   item    2 .. FRAME_PARTS_MAX texts: the first with the role "source", the
 *           others with the role "sentence"
 *   params  truncate (default true), truncation_direction, prompt_name
 *   result  one part, tensor f32 [sentences]: the cosine of each to the source
 *
 * fill-mask
 *   item    one text
 *   params  top_k: uint (default 5); targets: [text]; truncate (default false)
 *   result  one list for each mask in the text, in order, of {score: float,
 *           token: uint, token_str: text, sequence: text}, best first
 *
 * text-classification
 *   item    one text; or two, the second with the role "pair"
 *   params  top_k: uint (default: all labels); function_to_apply: "sigmoid",
 *           "softmax", "none"; truncate (default true); truncation_direction
 *   result  [{label, score}], best first
 *
 * token-classification
 *   item    one text
 *   params  aggregation_strategy: "none", "simple" (default), "first",
 *           "average", "max"; ignore_labels: [text]; stride: uint
 *   result  [{entity_group, score, word, start, end}]; with "none": entity and
 *           index in the place of entity_group. start, end: in code points
 *
 * question-answering
 *   item    two texts: roles "question" and "context"
 *   params  top_k (default 1), doc_stride, max_answer_len, max_seq_len,
 *           max_question_len, handle_impossible_answer, align_to_words
 *   result  [{answer, score, start, end}], best first
 *
 * zero-shot-classification
 *   item    one text
 *   params  candidate_labels: [text]; hypothesis_template; multi_label
 *   result  [{label, score}], best first
 *
 * summarization, translation, text2text-generation
 *   item    one text
 *   params  clean_up_tokenization_spaces: bool; truncation: "do_not_truncate",
 *           "longest_first", "only_first"; generate_parameters: map, of
 *           generate(); translation: src_lang, tgt_lang
 *   result  {summary_text | translation_text | generated_text: text}
 *
 * table-question-answering
 *   item    two texts: roles "question" and "table" (JSON: columns to cells)
 *   params  padding, sequential, truncation
 *   result  {answer, coordinates: [[row, column]], cells: [text], aggregator}
 *
 * ---- generation -----------------------------------------------------------
 *
 * text-generation
 *   item    one text, the prompt, taken as it is; or tokens
 * chat
 *   item    1 .. FRAME_PARTS_MAX messages: texts with the roles "system",
 *           "user", "assistant", "tool"; the model's chat template makes the
 *           prompt, with the beginning of an answer
 *   params  of both:
 *           max_new_tokens: uint (default: what generation_config.json says,
 *             else 256; never beyond the model's context); min_new_tokens
 *           do_sample: bool (default: whether temperature, top_k, top_p, min_p
 *             or typical_p is given and temperature is not 0; else what
 *             generation_config.json says); temperature, top_k, top_p, min_p,
 *             typical_p, repetition_penalty, frequency_penalty,
 *             presence_penalty: as floats; seed: int (given: the same text
 *             again, whatever else is running)
 *           stop: [text], at most 16: the text ends before the first of them
 *           ignore_eos: bool
 *           return_full_text: bool (default false): the prompt too
 *           truncate: uint: only the last so many tokens of the prompt
 *           logprobs: uint: of each token, and of so many others, 0..20
 *           echo: bool (text-generation)
 *           of chat: tools: [map] and template: map, handed to the template;
 *           continue: bool: the last message is an answer to be continued
 *   chunks  one part, text: what has been added (whole characters); with
 *           details: true also one part, tokens: its ids, and one, tensor f32
 *           [ids]: their log-probabilities
 *   result  {text: all of it, finish: "stop" (end of sequence),
 * "stop_sequence", "length", seed: int (of a sampled one)}; with details or
 * logprobs: tokens: [{id, text, logprob, special, top: [{id, text, logprob}]}];
 *           usage.tokens: of the prompt, usage.generated
 *
 * ---- images and sound -----------------------------------------------------
 *
 * bytes carry a media type ("" = look at the bytes); they are decoded in the
 * inference server, within its limits on size, pixels and seconds.
 *
 * image-classification, audio-classification, video-classification
 *   item    one part, bytes
 *   params  top_k (default 5), function_to_apply
 *   result  [{label, score}], best first
 * zero-shot-image-classification, zero-shot-audio-classification
 *   item    one part, bytes
 *   params  candidate_labels: [text]; hypothesis_template
 *   result  [{label, score}], best first
 * automatic-speech-recognition
 *   item    one part, bytes
 *   params  return_timestamps: bool or "word"; language, task: text;
 *           generation_parameters: map, of generate()
 *   result  {text, chunks?: [{text, timestamp: [from, to]}]}
 * object-detection, zero-shot-object-detection
 *   item    one part, bytes
 *   params  threshold; candidate_labels (zero-shot)
 *   result  [{label, score, box: {xmin, ymin, xmax, ymax}}]
 * image-segmentation
 *   params  threshold, mask_threshold, overlap_mask_area_threshold, subtask
 *   result  [{label, score, mask: text, a PNG in base64}]
 * depth-estimation
 *   result  {depth: text, a PNG in base64}
 * image-feature-extraction
 *   params  pool: bool
 *   result  one part, tensor f32
 * document-question-answering
 *   item    bytes, and a text with the role "question"; a text with the role
 *           "words" (JSON: [[word, [x0, y0, x1, y1]]]) in the place of reading
 *           the picture
 *   params  top_k, max_answer_len, doc_stride, max_question_len, max_seq_len,
 *           handle_impossible_answer
 *   result  [{answer, score, start, end}]
 * image-text-to-text, any-to-any
 *   item    messages as of chat, and bytes among them, with the same roles
 *   params  as of chat
 *   result  as of chat
 * image-to-text
 *   item    one part, bytes; params generate_parameters: map
 *   result  {generated_text}
 * text-to-audio (and text-to-speech)
 *   item    one text; params generate_parameters: map
 *   result  one part, bytes: audio/wav
 * mask-generation
 *   params  points_per_batch, pred_iou_thresh, ...
 *   result  [{score, mask: text, a PNG in base64}]
 * keypoint-matching
 *   item    two parts, bytes; params threshold
 *   result  [{score, keypoint_image_0: {x, y}, keypoint_image_1: {x, y}}]
 *
 * READY's "extra" may hold: pooling, mask_token: text; prompts: [text];
 * default_prompt: text; normalize: bool; dimensions: bool (fewer may be asked
 * for); labels: [text]; chat: bool (it has a chat template); sampling_rate:
 * uint; notes: [text] (what was ignored or replaced, for status). DONE's usage
 * has tokens: of the item, special tokens included.
 */
#ifndef IPC_TASK_H
#define IPC_TASK_H

#define TASK_FEATURE_EXTRACTION  "feature-extraction"
#define TASK_SENTENCE_SIMILARITY "sentence-similarity"
#define TASK_FILL_MASK           "fill-mask"
#define TASK_TEXT_GENERATION     "text-generation"
#define TASK_CHAT                "chat"
#define TASK_SPEECH_RECOGNITION  "automatic-speech-recognition"

#endif
