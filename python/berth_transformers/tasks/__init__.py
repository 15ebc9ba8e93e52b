"""The tasks: one file each (or one for a few that share their code), and the table that says where each is.

A task is a class with this shape. It is made once, by loading.py, with the loaded model; all its methods run in the
compute thread.

    class FillMask(Task):
        names = ("fill-mask",)                     # as in src/ipc/task.h
        auto = "AutoModelForMaskedLM"              # the class of transformers that loads its model, or several

        def read(self, item) -> Request            # checks parameters and parts, tokenizes; raises Refused
        def run(self, requests) -> list[Answer | Refused]   # one forward for all of them; same order

Request.cost is what the item costs in tokens (or the like of it): batching.py puts requests of the same Request.key and
like cost together, up to a budget. The result of an item does not depend on what ran beside it, but for rounding.
Generation is different: generation.py (class Generator) takes what read() gives and goes step by step (compute.py).
A forward may be stopped before any layer, by compute.Stopped, which is no Exception: let it through.
"""
import importlib
from dataclasses import dataclass


@dataclass(slots=True)
class Request:
    """An item on its way through a batch."""
    item: object  # jobs.Item
    cost: int = 1  # tokens, padding not counted
    key: object = None  # only requests with equal keys share a batch (hashable)
    inputs: object = None  # the task's own: encoded tensors, decoded images
    options: object = None  # the task's own: checked parameters
    tokens: int = 0
    truncated: bool = False


class Task:
    """model: loading.Model, with .model (a torch module in eval mode), .config, .tokenizer, .processor,
    .feature_extractor, .image_processor (or None), .device, .dtype, .folder, .max_tokens."""
    names = ()
    auto = "AutoModel"
    needs = ("tokenizer",)  # "tokenizer", "processor", "feature_extractor", "image_processor"
    packages = ()  # beside torch and transformers: ("PIL",)
    dim = 0  # of an embedding that the task makes; an instance may set it
    generates = False  # True: read() is for generation.Generator (see compute.py), and run() is never called
    spare = ()  # weights that may be missing because the task reads none of them: a part of their name, ("pooler",)

    def __init__(self, model):
        self.model = model

    @classmethod
    def prepare(cls, config):
        """Called before the weights of a model of this task are loaded."""

    @classmethod
    def suits(cls, model):
        """Whether a model that was loaded by the class's auto class can do this task too (it has a chat template, an
        entailment label, a mask token)."""
        return True

    def read(self, item):
        raise NotImplementedError

    def run(self, requests):
        raise NotImplementedError

    def extra(self):
        """What READY's "extra" says of the model (src/ipc/task.h)."""
        return {}


# Task to "module:class" in this folder; imported when a model of that task is loaded.
TABLE = {
    "feature-extraction": "embedding:FeatureExtraction",
    "sentence-similarity": "embedding:SentenceSimilarity",
    "fill-mask": "fill_mask:FillMask",
    "text-classification": "text_classification:TextClassification",
    "zero-shot-classification": "text_classification:ZeroShotClassification",
    "token-classification": "token_classification:TokenClassification",
    "question-answering": "question_answering:QuestionAnswering",
    "table-question-answering": "table_question_answering:TableQuestionAnswering",
    "text-generation": "text_generation:TextGeneration",
    "chat": "text_generation:Chat",
    "summarization": "text_to_text:Summarization",
    "translation": "text_to_text:Translation",
    "text2text-generation": "text_to_text:Text2Text",
    "image-classification": "pipelines:ImageClassification",
    "automatic-speech-recognition": "speech_recognition:SpeechRecognition",
    "audio-classification": "pipelines:AudioClassification",
    "object-detection": "pipelines:ObjectDetection",
    "image-segmentation": "pipelines:ImageSegmentation",
    "depth-estimation": "pipelines:DepthEstimation",
    "video-classification": "pipelines:VideoClassification",
    "keypoint-matching": "pipelines:KeypointMatching",
    "zero-shot-image-classification": "pipelines:ZeroShotImageClassification",
    "zero-shot-object-detection": "pipelines:ZeroShotObjectDetection",
    "zero-shot-audio-classification": "pipelines:ZeroShotAudioClassification",
    "document-question-answering": "pipelines:DocumentQuestionAnswering",
    "image-text-to-text": "image_text:ImageTextToText",
    "image-to-text": "image_text:ImageToText",
    "text-to-audio": "pipelines:TextToAudio",
    "text-to-speech": "pipelines:TextToAudio",
    "image-feature-extraction": "pipelines:ImageFeatureExtraction",
    "tokenize": "tokenize:Tokenize",
}


def task_class(name):
    """The class of a task of the table."""
    module, _, attribute = TABLE[name].partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
