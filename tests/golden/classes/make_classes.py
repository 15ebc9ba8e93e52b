"""Writes classes.tsv: every class that transformers.pipeline loads, and for which task.

A line is: class, tab, task. Run with the versions of tests/golden/versions.json:
    python tests/golden/classes/make_classes.py
"""
from pathlib import Path

import transformers
from transformers.models.auto import modeling_auto as auto

TASKS = {
    "fill-mask": "MASKED_LM", "text-classification": "SEQUENCE_CLASSIFICATION",
    "token-classification": "TOKEN_CLASSIFICATION", "question-answering": "QUESTION_ANSWERING",
    "text-generation": "CAUSAL_LM", "table-question-answering": "TABLE_QUESTION_ANSWERING",
    "document-question-answering": "DOCUMENT_QUESTION_ANSWERING", "automatic-speech-recognition": "CTC",
    "audio-classification": "AUDIO_CLASSIFICATION", "image-classification": "IMAGE_CLASSIFICATION",
    "object-detection": "OBJECT_DETECTION", "zero-shot-object-detection": "ZERO_SHOT_OBJECT_DETECTION",
    "depth-estimation": "DEPTH_ESTIMATION", "video-classification": "VIDEO_CLASSIFICATION",
    "keypoint-matching": "KEYPOINT_MATCHING", "mask-generation": "MASK_GENERATION",
    "zero-shot-image-classification": "ZERO_SHOT_IMAGE_CLASSIFICATION",
}
SEVERAL = {
    "image-segmentation": ("IMAGE_SEGMENTATION", "SEMANTIC_SEGMENTATION", "INSTANCE_SEGMENTATION",
                           "UNIVERSAL_SEGMENTATION"),
    "text-to-audio": ("TEXT_TO_SPECTROGRAM", "TEXT_TO_WAVEFORM"),
}


def classes(mapping):
    for names in getattr(auto, f"MODEL_FOR_{mapping}_MAPPING_NAMES").values():
        yield from [names] if isinstance(names, str) else names


def main():
    rows = {(c, task) for task, mapping in TASKS.items() for c in classes(mapping)}
    rows |= {(c, task) for task, mappings in SEVERAL.items() for m in mappings for c in classes(m)}
    out = Path(__file__).with_name("classes.tsv")
    out.write_text(f"# transformers {transformers.__version__}\n" +
                   "".join(f"{c}\t{task}\n" for c, task in sorted(rows)))


main()
