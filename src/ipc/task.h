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
 *   item    2 .. TASK_PAIRS_MAX texts: the first with the role "source", the
 *           others with the role "sentence"
 *   params  truncate (default true), truncation_direction, prompt_name
 *   result  one part, tensor f32 [sentences]: the cosine of each to the source
 *
 * fill-mask
 *   item    one text
 *   params  top_k: uint (default 5); targets: [text]; truncate (default false);
 *           truncation_direction
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
 *           "longest_first", "only_first"; generate_parameters: map, what
 *           generate_parameters.py of the Transformers server lets generate()
 *           be told, and seed; translation: src_lang, tgt_lang
 *   result  {summary_text | translation_text | generated_text: text}
 *
 * tokenize
 *   item    one text; every model with a tokenizer does it
 *   params  add_special_tokens: bool (default true)
 *   result  {ids: [uint]}, never cut
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
 *   item    messages, at most FRAME_PARTS_MAX parts; the model's chat template
 *           makes the prompt, with the beginning of an answer. A part with a
 *           role begins a message: a text with the role "system", "developer",
 *           "user", "assistant" or "tool" is {role, content: text}. A part
 *           without a role goes on with the message before it, whose content is
 *           then the list [{type: "text", text} | {type: "image"} | {type:
 *           "audio"}] of its parts; for a template that takes only text, and
 *           where all of them are texts, they are joined by a line feed. A
 *           message that has more than role and content (tool_calls,
 *           tool_call_id, name, reasoning_content, ...) is one text with its
 *           role and the media type "application/json": the whole message as a
 *           JSON object, to be handed to the template as it is, but that the
 *           arguments of its tool_calls are parsed when they are a text
 *   params  of both:
 *           max_new_tokens: uint (default: what generation_config.json says,
 *             else 256; never beyond the model's context; 0 only with echo);
 *             min_new_tokens
 *           do_sample: bool (default: whether temperature, top_k, top_p, min_p
 *             or typical_p is given and temperature is not 0; else what
 *             generation_config.json says); temperature, top_k, top_p, min_p,
 *             typical_p, repetition_penalty, frequency_penalty,
 *             presence_penalty: as floats, top_k: uint (absent: as generate()
 *             has them, a temperature of 1 and the 50 best unless
 *             generation_config.json says otherwise); seed: int (given: the
 *             same text again, whatever else is running; item i of the job
 *             takes seed + i)
 *           stop: [text], at most 16: the text ends before the first of them
 *           ignore_eos: bool
 *           return_full_text: bool (default false): the result's text begins
 *             with the prompt
 *           truncate: uint: only the last so many tokens of the prompt
 *           details: bool: the tokens, with their log-probabilities
 *           logprobs: uint: details, and so many others of each token, 0..20
 *           prefill: bool: the prompt's tokens too
 *           echo: bool (text-generation): the prompt is the beginning of the
 *             answer: of its text, its chunks and its tokens
 *           of chat: tools: [map] and template: map, handed to the template;
 *           continue: bool: the last message is an answer to be continued
 *   chunks  one part, text: what has been added (whole characters, maybe none);
 *           with details or logprobs also result: {tokens: [...]}, those that
 *           have been added, with prefill before them {prefill: [...]}: as in
 *           the result, which then has neither, for a long answer's would not
 *           fit in it. A stream that has less credit than FRAME_CHUNK_MAX makes
 *           no step; a chunk that is longer is cut in several
 *   result  (E_TOO_LARGE when it does not fit in a frame)
 *           {text: all of it, finish: "stop" (end of sequence),
 *           "stop_sequence", "length", seed: int (of a sampled one)}; with
 *           details or logprobs: tokens: [{id, text, logprob (null: of the
 *           first one of a prompt), special, top: [{id, text, logprob}] (best
 *           first; with logprobs above 0)}]; with prefill: prefill: [{id, text,
 *           logprob}]; usage.tokens: of the prompt, usage.generated. The texts
 *           of the tokens that are not special, put together, are the text, up
 *           to where a stop text has cut it; one whose bytes are only a part of
 *           a character has "", the last of them the character
 *
 * ---- images and sound -----------------------------------------------------
 *
 * bytes carry a media type ("" = look at the bytes); they are decoded in the
 * inference server, within its limits on size, pixels and seconds.
 *
 * image-classification, audio-classification, video-classification
 *   item    one part, bytes; a video is an animated GIF, WebP or PNG
 *   params  top_k (default 5; audio: all), function_to_apply;
 *           video: frame_sampling_rate: uint
 *   result  [{label, score}], best first
 * zero-shot-image-classification, zero-shot-audio-classification
 *   item    one part, bytes
 *   params  candidate_labels: [text]; hypothesis_template
 *   result  [{label, score}], best first
 * automatic-speech-recognition
 *   item    one part, bytes
 *   params  return_timestamps: bool, "word" or "char", as the model can;
 *           language, task: text (Whisper); generation_parameters: map, as
 *           generate_parameters above; chunk_length_s, stride_length_s: float:
 *           in pieces
 *           A sound beyond Whisper's window is read by its timestamps.
 *   result  {text, chunks?: [{text, timestamp: [from, to]}]}
 * object-detection, zero-shot-object-detection
 *   item    one part, bytes
 *   params  threshold; zero-shot: candidate_labels, top_k
 *   result  [{label, score, box: {xmin, ymin, xmax, ymax}}]
 * image-segmentation
 *   params  threshold, mask_threshold, overlap_mask_area_threshold, subtask
 *   result  [{label, score, mask: text, a PNG in base64}]
 * depth-estimation
 *   result  {depth: text, a PNG in base64}
 * image-feature-extraction
 *   params  pool: bool
 *   result  one part, tensor f32: [tokens][dim], or as the model has it; with
 *           pool [dim]
 * document-question-answering
 *   item    a text with the role "question" and one with the role "words"
 *           (JSON: [[word, [x0, y0, x1, y1]]], in thousandths of the page);
 *           bytes may come along, but pictures are not read: without words it
 *           is E_INVALID_REQUEST
 *   params  top_k, max_answer_len, doc_stride, max_seq_len,
 *           handle_impossible_answer
 *   result  [{answer, score, start, end}]
 * image-text-to-text (any-to-any: not served yet)
 *   item    messages as of chat, with bytes among their parts
 *   params  max_new_tokens, min_new_tokens, do_sample, temperature, top_k,
 *           top_p, min_p, typical_p, repetition_penalty, seed, stop: as of chat
 *   result  as of chat; no chunks
 * image-to-text
 *   item    one part, bytes; params generate_parameters: map
 *   result  {generated_text}
 * text-to-audio (and text-to-speech)
 *   item    one text; params generate_parameters: map
 *   result  one part, bytes: audio/wav
 * mask-generation (not served yet)
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

enum { TASK_PAIRS_MAX = 64 };

#define TASK_FEATURE_EXTRACTION  "feature-extraction"
#define TASK_SENTENCE_SIMILARITY "sentence-similarity"
#define TASK_FILL_MASK           "fill-mask"
#define TASK_TEXT_GENERATION     "text-generation"
#define TASK_CHAT                "chat"
#define TASK_SPEECH_RECOGNITION  "automatic-speech-recognition"
#define TASK_IMAGE_TEXT          "image-text-to-text"
#define TASK_ANY_TO_ANY          "any-to-any"

#endif
