"""Tiny models for the tasks on images and sound: seeded, uniform random, the same on every machine.

Each function returns (model, the things that are saved beside it). Heads are scaled so that the top answer stands out.
"""
import json

import numpy as np
import torch
import transformers as t

LABELS = ["circle", "square", "triangle", "line", "star", "cloud"]


def labels(names=LABELS):
    return {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}


def randomise(model, seed, **gains):
    """Uniform values by fan-in, so that activations keep their size; gains: a part of a parameter's name (with _ for
    its dots) to a factor."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if p.ndim == 0:
                continue
            u = rng.uniform(-1, 1, tuple(p.shape)).astype(np.float32)
            gain = np.prod([g for part, g in gains.items() if part in name.replace(".", "_")] or [1.0])
            if p.ndim == 1:
                u = (1 + 0.1 * u) if name.endswith("weight") else 0.1 * u
            elif "embed" not in name:
                u *= np.sqrt(3 / np.prod(p.shape[1:]))
            p.copy_(torch.from_numpy((u * gain).astype(np.float32)))
    model.tie_weights()
    return model.eval()


# ---- tokenizers ----

def words_tokenizer(words, **more):
    """A BERT tokenizer of these words, the letters and digits."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    signs = list("abcdefghijklmnopqrstuvwxyz0123456789.,?!:")
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + sorted(set(words) | set(signs))
    vocab += ["##" + s for s in signs[:36]]
    tok = Tokenizer(models.WordPiece({v: i for i, v in enumerate(vocab)}, unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tok.decoder = decoders.WordPiece()
    return t.PreTrainedTokenizerFast(tokenizer_object=tok, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
                                     sep_token="[SEP]", mask_token="[MASK]", **more)


def _signs():
    from tokenizers import pre_tokenizers
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def bytes_tokenizer(special, **more):
    """Byte-level BPE without merges: 256 signs, then the special ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    signs = _signs()
    tok = Tokenizer(models.BPE({s: i for i, s in enumerate(signs)}, []))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens(special)
    return t.PreTrainedTokenizerFast(tokenizer_object=tok, **more)


def clip_tokenizer():
    """CLIP's byte-level BPE with a handful of merges; signs at the end of a word carry </w>."""
    signs = _signs()
    merges = [("p", "h"), ("o", "t"), ("ph", "ot"), ("o", "f</w>"), ("i", "s</w>"), ("t", "h")]
    vocab = signs + [s + "</w>" for s in signs] + [a + b for a, b in merges] + ["<|startoftext|>", "<|endoftext|>"]
    return t.CLIPTokenizer(vocab={v: i for i, v in enumerate(vocab)}, merges=merges, model_max_length=32), len(vocab)


def _but_letters(signs):
    """The ids that a model should not say: other bytes make no text alone."""
    return [i for i, s in enumerate(signs) if s not in "abcdefghijklmnopqrstuvwxyzĠ"]


# ---- images ----

SMALL = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48)
SLIM = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)  # beside a vocabulary


def image_classification():
    config = t.ViTConfig(image_size=32, patch_size=8, **SMALL, **labels())
    model = randomise(t.ViTForImageClassification(config), 35, classifier=7)
    return model, [t.ViTImageProcessorPil(size={"height": 32, "width": 32})]


def image_classification_one():
    """One label: its score is a sigmoid. And a resize that keeps the sides' ratio."""
    config = t.ViTConfig(image_size=32, patch_size=8, **SMALL, **labels(["round"]))
    model = randomise(t.ViTForImageClassification(config), 12, classifier=3)
    return model, [t.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})]


def image_features():
    config = t.ViTConfig(image_size=32, patch_size=8, **SMALL)
    return randomise(t.ViTModel(config), 13), [t.ViTImageProcessorPil(size={"height": 32, "width": 32})]


def zero_shot_image():
    tokenizer, n = clip_tokenizer()
    config = t.CLIPConfig(
        text_config=dict(vocab_size=n, max_position_embeddings=32, bos_token_id=n - 2, eos_token_id=n - 1,
                         pad_token_id=n - 1, projection_dim=16, **SLIM),
        vision_config=dict(image_size=32, patch_size=8, projection_dim=16, **SLIM), projection_dim=16)
    processor = t.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    model = randomise(t.CLIPModel(config), 14)
    model.logit_scale.data.fill_(4.6)
    return model, [t.CLIPProcessor(processor, tokenizer)]


def object_detection():
    config = t.YolosConfig(image_size=[48, 64], patch_size=8, num_detection_tokens=12, **SMALL, **labels())
    model = randomise(t.YolosForObjectDetection(config), 15, class_labels_classifier_layers_2=4,
                      bbox_predictor_layers_2=3)
    return model, [t.YolosImageProcessorPil(size={"shortest_edge": 48, "longest_edge": 64})]


def zero_shot_detection():
    tokenizer, n = clip_tokenizer()
    config = t.OwlViTConfig(
        text_config=dict(vocab_size=n, max_position_embeddings=16, bos_token_id=n - 2, eos_token_id=n - 1,
                         pad_token_id=n - 1, **SLIM),
        vision_config=dict(image_size=48, patch_size=8, **SLIM), projection_dim=16)
    tokenizer.model_max_length = 16
    processor = t.OwlViTImageProcessorPil(size={"height": 48, "width": 48}, crop_size={"height": 48, "width": 48})
    model = randomise(t.OwlViTForObjectDetection(config), 16, box_head_dense2=2, class_head_dense0=3)
    return model, [t.OwlViTProcessor(processor, tokenizer)]


def segmentation():
    """Semantic: a label for each pixel."""
    config = t.SegformerConfig(num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[16, 32],
                               num_attention_heads=[1, 2], patch_sizes=[7, 3], strides=[4, 2], mlp_ratios=[2, 2],
                               decoder_hidden_size=16, **labels())
    model = randomise(t.SegformerForSemanticSegmentation(config), 17, decode_head_classifier=4)
    return model, [t.SegformerImageProcessorPil(size={"height": 64, "width": 64})]


def segmentation_panoptic():
    """Panoptic: segments with scores."""
    config = t.EomtConfig(image_size=48, patch_size=8, num_queries=8, num_blocks=1, num_upscale_blocks=1,
                          use_swiglu_ffn=False, mlp_ratio=2, **SMALL, **labels())
    model = randomise(t.EomtForUniversalSegmentation(config), 18, class_predictor=8, mask_head_fc3=3)
    return model, [t.EomtImageProcessorPil(size={"shortest_edge": 48, "longest_edge": 48}, do_pad=True)]


def depth():
    config = t.GLPNConfig(num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[16, 32],
                          num_attention_heads=[1, 2], patch_sizes=[7, 3], strides=[4, 2], mlp_ratios=[2, 2],
                          decoder_hidden_size=16)
    return randomise(t.GLPNForDepthEstimation(config), 19, head_head=3), [t.GLPNImageProcessorPil(size_divisor=32)]


def video():
    config = t.VideoMAEConfig(image_size=32, patch_size=8, num_frames=8, tubelet_size=2, use_mean_pooling=True, **SMALL,
                              **labels())
    config.num_frames = 8
    model = randomise(t.VideoMAEForVideoClassification(config), 20, classifier=8)
    return model, [t.VideoMAEImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})]


def keypoints():
    points = dict(model_type="superpoint", encoder_hidden_sizes=[8, 8, 16, 16], decoder_hidden_size=16,
                  descriptor_decoder_dim=16, keypoint_threshold=0.016, max_keypoints=40)
    config = t.SuperGlueConfig(keypoint_detector_config=points, hidden_size=16, keypoint_encoder_sizes=[8, 16],
                               gnn_layers_types=["self", "cross"], num_attention_heads=2, sinkhorn_iterations=20)
    model = randomise(t.SuperGlueForKeypointMatching(config), 26, final_projection=4, conv_score_b=2)
    return model, [t.SuperGlueImageProcessorPil(size={"height": 48, "width": 64})]


WORDS = "what is the total date name of invoice sum number anna oslo 2024 may paid to ship red blue".split()


def document():
    config = t.LayoutLMConfig(vocab_size=200, max_position_embeddings=128, max_2d_position_embeddings=1024,
                              **{**SLIM, "hidden_size": 8})
    model = randomise(t.LayoutLMForQuestionAnswering(config), 22, qa_outputs=10)
    return model, [words_tokenizer(WORDS, model_max_length=128)]


def image_to_text():
    tokenizer = bytes_tokenizer(["<s>", "</s>"], bos_token="<s>", eos_token="</s>", pad_token="</s>")
    encoder = t.ViTConfig(image_size=32, patch_size=8, **SLIM)
    decoder = t.GPT2Config(vocab_size=258, n_positions=64, n_embd=16, n_layer=1, n_head=2, is_decoder=True,
                           add_cross_attention=True, bos_token_id=256, eos_token_id=257)
    config = t.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        encoder, decoder, decoder_start_token_id=256, pad_token_id=257, eos_token_id=257)
    model = randomise(t.VisionEncoderDecoderModel(config=config), 20, wpe=2, crossattention_c_proj=4, mlp_c_proj=3)
    model.generation_config = t.GenerationConfig(decoder_start_token_id=256, eos_token_id=257, pad_token_id=257,
                                                 max_length=25, suppress_tokens=_but_letters(_signs()) + [256])
    return model, [t.ViTImageProcessorPil(size={"height": 32, "width": 32}), tokenizer]


CHAT = ("{% for m in messages %}<{{ m.role }}>{% for c in m.content %}{% if c.type == 'image' %}<image>"
        "{% else %}{{ c.text }}{% endif %}{% endfor %}</s>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}")


def image_text_to_text():
    tokenizer = bytes_tokenizer(["<s>", "</s>", "<pad>", "<image>"], bos_token="<s>", eos_token="</s>",
                                pad_token="<pad>", padding_side="left", extra_special_tokens={"image_token": "<image>"})
    config = t.LlavaConfig(
        vision_config=t.CLIPVisionConfig(image_size=32, patch_size=8, projection_dim=16, **SLIM),
        text_config=t.LlamaConfig(vocab_size=264, max_position_embeddings=256, num_key_value_heads=2, bos_token_id=256,
                                  eos_token_id=257, pad_token_id=258, **SLIM),
        image_token_index=259, vision_feature_layer=-1)
    model = randomise(t.LlavaForConditionalGeneration(config), 24, lm_head=4)
    processor = t.LlavaProcessor(
        t.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}), tokenizer,
        patch_size=8, vision_feature_select_strategy="default", chat_template=CHAT, image_token="<image>",
        num_additional_image_tokens=1)
    model.generation_config = t.GenerationConfig(bos_token_id=256, eos_token_id=257, pad_token_id=258,
                                                 suppress_tokens=_but_letters(_signs()) + [259])
    return model, [processor]


# ---- sound ----

CONV = dict(conv_dim=[16] * 3, conv_stride=[8, 8, 5], conv_kernel=[16, 8, 5], num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=2, num_feat_extract_layers=3)


def speech_ctc():
    signs = ["<pad>", "<s>", "</s>", "<unk>", "|"] + list("ABCDEFGHIJKLMNOPQRSTUVWXYZ'")
    tokenizer = t.Wav2Vec2CTCTokenizer(_vocab_file(signs))
    config = t.Wav2Vec2Config(vocab_size=len(signs), pad_token_id=0, bos_token_id=1, eos_token_id=2, **CONV, **SMALL)
    model = randomise(t.Wav2Vec2ForCTC(config), 31, lm_head=6)
    return model, [t.Wav2Vec2Processor(t.Wav2Vec2FeatureExtractor(return_attention_mask=False), tokenizer)]


def _vocab_file(signs):
    import tempfile
    file = tempfile.NamedTemporaryFile("w", suffix=".json", delete=False)
    json.dump({s: i for i, s in enumerate(signs)}, file)
    file.close()
    return file.name


SECONDS = 6  # of one piece of sound, in the place of Whisper's 30


def speech_whisper():
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|fr|>", "<|translate|>", "<|transcribe|>",
               "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    times = [f"<|{i * 0.02:.2f}|>" for i in range(SECONDS * 50 + 1)]
    signs = _signs()
    tokenizer = t.WhisperTokenizer(vocab={s: i for i, s in enumerate(signs)}, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    tokenizer.add_tokens(times)
    ids = {s: tokenizer.convert_tokens_to_ids(s) for s in special}
    n = len(tokenizer)
    config = t.WhisperConfig(
        vocab_size=n, d_model=16, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_mel_bins=16,
        max_source_positions=SECONDS * 50, max_target_positions=64, pad_token_id=ids["<|endoftext|>"],
        bos_token_id=ids["<|endoftext|>"], eos_token_id=ids["<|endoftext|>"],
        decoder_start_token_id=ids["<|startoftranscript|>"])
    model = randomise(t.WhisperForConditionalGeneration(config), 35, embed_tokens=1, embed_positions=3)
    model.generation_config = t.GenerationConfig(
        decoder_start_token_id=ids["<|startoftranscript|>"], eos_token_id=ids["<|endoftext|>"],
        pad_token_id=ids["<|endoftext|>"], bos_token_id=ids["<|endoftext|>"], max_length=40, is_multilingual=True,
        no_timestamps_token_id=ids["<|notimestamps|>"], max_initial_timestamp_index=50,
        lang_to_id={"<|en|>": ids["<|en|>"], "<|fr|>": ids["<|fr|>"]},
        task_to_id={"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
        prev_sot_token_id=ids["<|startofprev|>"], alignment_heads=[[1, 0], [1, 1]],
        begin_suppress_tokens=[signs.index("Ġ"), ids["<|endoftext|>"]],
        suppress_tokens=_but_letters(signs) + [ids[s] for s in special if s != "<|endoftext|>"])
    extractor = t.WhisperFeatureExtractor(feature_size=16, chunk_length=SECONDS)
    return model, [t.WhisperProcessor(extractor, tokenizer)]


def audio_classification():
    names = ["bell", "bird", "rain", "wind", "drum", "bark", "sea"]
    config = t.Wav2Vec2Config(classifier_proj_size=16, **CONV, **SMALL, **labels(names))
    model = randomise(t.Wav2Vec2ForSequenceClassification(config), 57, classifier=5)
    return model, [t.Wav2Vec2FeatureExtractor()]


def zero_shot_audio():
    tokenizer = words_tokenizer("this is a sound of bell bird rain wind".split(), model_max_length=64)
    config = t.ClapConfig(
        text_config=dict(vocab_size=200, max_position_embeddings=80, pad_token_id=0, projection_dim=16, **SMALL),
        audio_config=dict(spec_size=64, num_mel_bins=16, patch_size=4, window_size=4, depths=[1, 1],
                          num_attention_heads=[1, 2], patch_embeds_hidden_size=8, hidden_size=16, projection_dim=16,
                          num_hidden_layers=2), projection_dim=16)
    extractor = t.ClapFeatureExtractor(feature_size=16, sampling_rate=16000, hop_length=160, max_length_s=2,
                                       fft_window_size=512, frequency_max=8000, truncation="rand_trunc",
                                       padding="repeatpad")
    model = randomise(t.ClapModel(config), 34)
    model.logit_scale_a.data.fill_(3.8)
    return model, [t.ClapProcessor(extractor, tokenizer)]


def text_to_audio():
    """No noise: the same text, the same sound."""
    config = t.VitsConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, ffn_dim=16, flow_size=16, spectrogram_bins=17,
        upsample_initial_channel=16, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8], resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1]], use_stochastic_duration_prediction=False, duration_predictor_filter_channels=16,
        prior_encoder_num_flows=1, prior_encoder_num_wavenet_layers=1, posterior_encoder_num_wavenet_layers=1,
        noise_scale=0.0, noise_scale_duration=0.0, sampling_rate=8000)
    signs = ["<pad>"] + list(" abcdefghijklmnopqrstuvwxyz'-,.")
    tokenizer = t.VitsTokenizer(_vocab_file(signs), pad_token="<pad>", unk_token="<pad>", phonemize=False,
                                is_uroman=False)
    return randomise(t.VitsModel(config), 35), [tokenizer]


# Folder: (task, what makes it)
MODELS = {f.__name__: (task, f) for task, f in [
    ("image-classification", image_classification), ("image-classification", image_classification_one),
    ("image-feature-extraction", image_features), ("zero-shot-image-classification", zero_shot_image),
    ("object-detection", object_detection), ("zero-shot-object-detection", zero_shot_detection),
    ("image-segmentation", segmentation), ("image-segmentation", segmentation_panoptic), ("depth-estimation", depth),
    ("video-classification", video), ("keypoint-matching", keypoints), ("document-question-answering", document),
    ("image-to-text", image_to_text), ("image-text-to-text", image_text_to_text),
    ("automatic-speech-recognition", speech_ctc), ("automatic-speech-recognition", speech_whisper),
    ("audio-classification", audio_classification), ("zero-shot-audio-classification", zero_shot_audio),
    ("text-to-audio", text_to_audio)]}
