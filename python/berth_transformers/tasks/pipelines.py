"""Tasks that transformers.pipeline answers, one class each: a row of what differs.

The pipeline's three steps are called apart: preprocess() in read(), forward() and postprocess() in run(). What it is
called with has been decoded by media.py, so it never sees a path, an address or bytes; its parameters are those of
src/ipc/task.h and no others.
"""
import importlib
import inspect
import json

import numpy as np
import torch

from .. import checkpoint, errors, generate_parameters, media, params
from ..jobs import Answer, Part, Refused
from . import Request, Task

PATCH = 256  # pixels that cost as much as a token: 16 x 16, a patch of most models
FRAME = 320  # samples that cost as much as a token: 20 ms, a frame of most models
LABELS_MAX = 1000  # candidate labels of an item, and labels in READY's extra
SPOKEN_MAX = 10_000  # characters, about ten minutes
WORDS_MAX = 8192  # of a document
FUNCTIONS = ("sigmoid", "softmax", "none")


class PipelineTask(Task):
    """pipeline: the name of a class of transformers; parameters: as params.read() takes them."""
    pipeline = ""
    parameters = {}
    batches = False  # items whose inputs have equal shapes can share a forward

    def __init__(self, model):
        super().__init__(model)
        self.pipe = self._made()

    def _made(self):
        import transformers
        model = self.model
        given = {need: getattr(model, need) for need in self.needs}
        return getattr(transformers, self.pipeline)(model=model.model, task=self.names[0], device=model.device, **given)

    # ---- what a row may say otherwise ----

    def options(self, item):
        """The item's parameters, checked."""
        return params.read(item.job, self.parameters)

    def subject(self, item, options):
        """What the pipeline is called with; may take out of options what belongs there."""
        return media.image(item.bytes()[0])

    def answer(self, out):
        """The pipeline's answer as an Answer."""
        return Answer(result=tree(out))

    # ---- the same for all ----

    def read(self, item):
        options = self.options(item)
        subject = self.subject(item, options)
        try:
            before, during, after = self.pipe._sanitize_parameters(**options)
        except ValueError as e:
            raise Refused("invalid_request", errors.plain(e)) from e
        inputs = self.pipe.preprocess(subject, **{**self.pipe._preprocess_params, **before})
        if not hasattr(inputs, "keys"):
            inputs = list(inputs)  # of a pipeline that reads an item in pieces
        request = Request(item, inputs=inputs, cost=cost(inputs),
                          options=({**self.pipe._forward_params, **during}, {**self.pipe._postprocess_params, **after}))
        request.key = _shapes(inputs) + (repr(during),) if self.batches else id(request)
        return request

    def run(self, requests):
        if len(requests) == 1:
            return [self._alone(requests[0])]
        together = {k: torch.cat([r.inputs[k] for r in requests]) for k in requests[0].inputs}
        out = self.pipe.forward(together, **requests[0].options[0])
        return [self.answer(self.pipe.postprocess(_rows(out, i, len(requests)), **r.options[1]))
                for i, r in enumerate(requests)]

    def _alone(self, request):
        during, after = request.options
        if isinstance(request.inputs, list):
            out = [self.pipe.forward(piece, **during) for piece in request.inputs]
        else:
            out = self.pipe.forward(request.inputs, **during)
        return self.answer(self.pipe.postprocess(out, **after))

    def extra(self):
        names = getattr(self.model.config, "id2label", None) or {}
        return {"labels": [str(n) for n in names.values()][:LABELS_MAX]} if self.batches else {}


def _shapes(inputs):
    return tuple((k, tuple(v.shape)) for k, v in inputs.items())


def _rows(out, i, n):
    """Item i of a forward of n."""
    return out.__class__({k: v[i:i + 1] for k, v in out.items() if isinstance(v, torch.Tensor) and len(v) == n})


def cost(inputs):
    """In tokens, by the largest tensor of images or sound, or its own tokens."""
    pieces = inputs if isinstance(inputs, list) else [inputs]
    return max(1, sum(_cost(k, v) for piece in pieces for k, v in piece.items() if isinstance(v, torch.Tensor)))


def _cost(name, tensor):
    if name.startswith("pixel_values"):
        return tensor.numel() // (3 * PATCH)
    if name in ("input_values", "input_features"):
        return tensor.numel() // FRAME
    return tensor.numel() if name == "input_ids" else 0


def tree(value):
    """A pipeline's answer as DONE's result has it; pictures become PNG in base64."""
    pictures = []
    out = _tree(value, pictures)
    size = sum(map(len, pictures))
    if size > media.PICTURES_BYTES_MAX:
        raise Refused("too_large", f"the answer has {len(pictures)} pictures of {size} bytes together, more than "
                                   f"{media.PICTURES_BYTES_MAX}: send a smaller image")
    return out


def _tree(value, pictures):
    if isinstance(value, dict):
        return {str(k): _tree(v, pictures) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_tree(v, pictures) for v in value]
    if isinstance(value, (np.generic, np.ndarray, torch.Tensor)):
        return _tree(value.tolist(), pictures)
    if hasattr(value, "getbands"):  # a PIL image
        pictures.append(media.png(value))
        return pictures[-1]
    return value


# ---- images ----


class ImageClassification(PipelineTask):
    names = ("image-classification",)
    auto = "AutoModelForImageClassification"
    needs = ("image_processor",)
    packages = ("PIL",)
    pipeline = "ImageClassificationPipeline"
    parameters = {"top_k": "uint", "function_to_apply": FUNCTIONS}
    batches = True


class ImageFeatureExtraction(PipelineTask):
    names = ("image-feature-extraction",)
    auto = "AutoModel"
    needs = ("image_processor",)
    packages = ("PIL",)
    spare = ("pooler",)
    pipeline = "ImageFeatureExtractionPipeline"
    parameters = {"pool": "bool"}
    batches = True

    def __init__(self, model):
        super().__init__(model)
        self._pools = self._has_pooler()

    @classmethod
    def suits(cls, model):
        return model.model.main_input_name == "pixel_values"

    def _has_pooler(self):
        """Whether the files have what the model pools with; a random one would answer nonsense."""
        def pooler(names):
            return any("pooler" in name.split(".") for name in names)
        if not pooler(name for name, _ in self.model.model.named_parameters()):
            return True  # none, or one without weights
        return pooler(checkpoint.tensor_bytes(checkpoint.weight_files(self.model.folder)))

    def options(self, item):
        options = super().options(item)
        if options.get("pool") and not self._pools:
            raise Refused("unsupported_option", "the model's files have no pooler: leave 'pool' out")
        return {**options, "return_tensors": True}

    def run(self, requests):
        try:
            return super().run(requests)
        except ValueError as e:  # the library's sentence about 'pool'
            if len(requests) > 1 or not requests[0].options[1].get("pool"):
                raise
            return [Refused("unsupported_option", errors.plain(e))]

    def answer(self, out):
        return Answer(parts=[Part("tensor", out[0].float().numpy())])  # of the pipeline's batch of one

    def extra(self):
        return {}


class ObjectDetection(PipelineTask):
    names = ("object-detection",)
    auto = "AutoModelForObjectDetection"
    needs = ("image_processor",)
    packages = ("PIL",)
    pipeline = "ObjectDetectionPipeline"
    parameters = {"threshold": "float"}
    batches = True


class ImageSegmentation(PipelineTask):
    names = ("image-segmentation",)
    auto = ("AutoModelForUniversalSegmentation", "AutoModelForImageSegmentation", "AutoModelForSemanticSegmentation")
    needs = ("image_processor",)
    packages = ("PIL",)
    pipeline = "ImageSegmentationPipeline"
    parameters = {"threshold": "float", "mask_threshold": "float", "overlap_mask_area_threshold": "float",
                  "subtask": ("panoptic", "instance", "semantic")}

    @classmethod
    def prepare(cls, config):
        """Mask2Former and its kin make the loss they were trained with along with the model, and that asks for scipy,
        which nothing else needs: it is let be made, and never called."""
        module = importlib.import_module(type(config).__module__.replace("configuration_", "modeling_"))
        if hasattr(module, "requires_backends"):
            module.requires_backends = lambda *_: None

    def options(self, item):
        options = super().options(item)
        subtask = options.get("subtask")
        if subtask and not hasattr(self.model.image_processor, f"post_process_{subtask}_segmentation"):
            raise Refused("unsupported_option", f"the model does no {subtask} segmentation: leave 'subtask' out")
        if subtask in ("panoptic", "instance") and not self._takes_thresholds(subtask):
            raise Refused("unsupported_option", f"{subtask} segmentation of this model is not supported: leave "
                          "'subtask' out")
        return options

    def _takes_thresholds(self, subtask):
        """Whether the pipeline can call it: it hands on all of them."""
        reads = getattr(self.model.image_processor, f"post_process_{subtask}_segmentation")
        return {"mask_threshold", "overlap_mask_area_threshold"} <= set(inspect.signature(reads).parameters)


class DepthEstimation(PipelineTask):
    names = ("depth-estimation",)
    auto = "AutoModelForDepthEstimation"
    needs = ("image_processor",)
    packages = ("PIL",)
    pipeline = "DepthEstimationPipeline"

    def answer(self, out):
        return Answer(result=tree({"depth": out["depth"]}))


class KeypointMatching(PipelineTask):
    names = ("keypoint-matching",)
    auto = "AutoModelForKeypointMatching"
    needs = ("image_processor",)
    packages = ("PIL",)
    pipeline = "KeypointMatchingPipeline"
    parameters = {"threshold": "float"}

    def subject(self, item, options):
        pictures = [p.data for p in item.parts if p.kind == "bytes"]
        if len(pictures) != 2:
            raise Refused("invalid_request", "keypoint-matching takes two images")
        return [media.image(p) for p in pictures]


class VideoClassification(PipelineTask):
    """The pipeline itself cannot be made without a library that opens files of videos; frames come from an animated
    image instead."""
    names = ("video-classification",)
    auto = "AutoModelForVideoClassification"
    needs = ("image_processor",)
    packages = ("PIL",)
    parameters = {"top_k": "uint", "function_to_apply": FUNCTIONS, "frame_sampling_rate": "uint"}
    batches = True

    def _made(self):
        return None

    def read(self, item):
        options = self.options(item)
        count, step = self.model.config.num_frames, max(1, options.get("frame_sampling_rate", 1))
        if step > media.VIDEO_FRAMES_MAX:
            raise Refused("invalid_request", f"'frame_sampling_rate' is {step}; the limit is {media.VIDEO_FRAMES_MAX}")
        wanted = np.linspace(0, count * step - 1, num=count, dtype=np.int64).tolist()
        frames = media.moving_frames(item.bytes()[0], wanted)
        if len(frames) < count:
            raise Refused("invalid_request", f"the model looks at {count} frames; the animation has "
                                             f"{len(frames)} of them")
        inputs = self.model.image_processor(list(frames), return_tensors="pt").to(self.model.dtype)
        return Request(item, inputs=inputs, cost=cost(inputs), options=options, key=_shapes(inputs))

    def run(self, requests):
        inputs = {k: torch.cat([r.inputs[k] for r in requests]).to(self.model.device) for k in requests[0].inputs}
        logits = self.model.model(**inputs).logits.float().cpu()
        return [Answer(result=self._ranked(row, r.options)) for row, r in zip(logits, requests)]

    def _ranked(self, logits, options):
        kind = self.model.config.problem_type
        usual = {"regression": "none", "multi_label_classification": "sigmoid"}.get(kind, "softmax")
        function = options.get("function_to_apply", usual)
        scores = {"softmax": lambda x: x.softmax(-1), "sigmoid": torch.sigmoid, "none": lambda x: x}[function](logits)
        best = scores.topk(min(options.get("top_k", 5), len(scores)))
        return [{"score": s, "label": self.model.config.id2label[i]} for s, i in zip(*map(torch.Tensor.tolist, best))]


# ---- images or sound, and labels that come along ----


class ZeroShot(PipelineTask):
    parameters = {"candidate_labels": "texts", "hypothesis_template": "text"}

    def options(self, item):
        options = super().options(item)
        labels = options.get("candidate_labels")
        if not labels:
            raise Refused("invalid_request", f"{item.job.task} needs 'candidate_labels'")
        if len(labels) > LABELS_MAX:
            raise Refused("too_large", f"{len(labels)} candidate labels; the limit is {LABELS_MAX}")
        template = options.get("hypothesis_template", "{}")
        if template.count("{}") != 1 or template.count("{") != 1 or template.count("}") != 1:
            raise Refused("invalid_request", "'hypothesis_template' should have {} once, where the label goes")
        self._check_length(max((template.replace("{}", label) for label in labels), key=len))
        return options

    def _check_length(self, text):
        """Of the longest: the pipelines cut nothing."""
        n, most = len(self.model.tokenizer(text, verbose=False)["input_ids"]), self.model.max_tokens
        if most and n > most:
            raise Refused("input_too_long", f"a candidate label has {n} tokens; the model takes {most}: shorten it")


class ZeroShotImageClassification(ZeroShot):
    names = ("zero-shot-image-classification",)
    auto = "AutoModelForZeroShotImageClassification"
    needs = ("tokenizer", "image_processor")
    packages = ("PIL",)
    pipeline = "ZeroShotImageClassificationPipeline"


class ZeroShotObjectDetection(ZeroShot):
    names = ("zero-shot-object-detection",)
    auto = "AutoModelForZeroShotObjectDetection"
    needs = ("tokenizer", "image_processor")
    packages = ("PIL",)
    pipeline = "ZeroShotObjectDetectionPipeline"
    parameters = {"candidate_labels": "texts", "threshold": "float", "top_k": "uint"}

    def subject(self, item, options):
        return {"image": super().subject(item, options), "candidate_labels": options.pop("candidate_labels")}


class ZeroShotAudioClassification(ZeroShot):
    names = ("zero-shot-audio-classification",)
    auto = "AutoModel"
    needs = ("tokenizer", "feature_extractor")
    packages = ("soundfile",)
    pipeline = "ZeroShotAudioClassificationPipeline"

    @classmethod
    def suits(cls, model):
        return model.config.model_type == "clap"

    def subject(self, item, options):
        return media.sound(item.bytes()[0], self.model.feature_extractor.sampling_rate)

    def extra(self):
        return {"sampling_rate": self.model.feature_extractor.sampling_rate}


# ---- sound ----


class AudioClassification(PipelineTask):
    names = ("audio-classification",)
    auto = "AutoModelForAudioClassification"
    needs = ("feature_extractor",)
    packages = ("soundfile",)
    pipeline = "AudioClassificationPipeline"
    parameters = {"top_k": "uint", "function_to_apply": FUNCTIONS}
    batches = True

    def subject(self, item, options):
        return media.sound(item.bytes()[0], self.model.feature_extractor.sampling_rate)

    def extra(self):
        return {**super().extra(), "sampling_rate": self.model.feature_extractor.sampling_rate}


class TextToAudio(PipelineTask):
    """Models that make sound themselves; those that make spectrograms would need a second model."""
    names = ("text-to-audio", "text-to-speech")
    auto = "AutoModelForTextToWaveform"
    pipeline = "TextToAudioPipeline"
    parameters = {"generate_parameters": "map"}

    def options(self, item):
        options = super().options(item)
        asked = options.get("generate_parameters")
        if not asked:
            return {}
        if not self.model.model.can_generate():
            raise Refused("unsupported_option", "the model makes its sound at once: it has no generate_parameters")
        return {"generate_kwargs": generate_parameters.checked(asked)}

    def subject(self, item, options):
        if not item.text().strip():
            raise Refused("invalid_request", f"{item.job.task} takes a text that is not empty")
        if len(item.text()) > SPOKEN_MAX:
            raise Refused("too_large", f"the text has {len(item.text())} characters; at most {SPOKEN_MAX} are spoken at "
                          "once: send it in pieces")
        return item.text()

    def answer(self, out):
        return Answer(parts=[Part("bytes", media.wav(out["audio"], out["sampling_rate"]), media="audio/wav")])

    def extra(self):
        return {"sampling_rate": self.pipe.sampling_rate}


# ---- documents ----


class DocumentQuestionAnswering(PipelineTask):
    """Where the words of the document are given: reading them off a picture would need a program."""
    names = ("document-question-answering",)
    auto = "AutoModelForDocumentQuestionAnswering"
    pipeline = "DocumentQuestionAnsweringPipeline"
    parameters = {"top_k": "uint", "max_answer_len": "uint", "doc_stride": "uint", "max_seq_len": "uint",
                  "handle_impossible_answer": "bool"}

    def subject(self, item, options):
        question = item.text("question")
        if not any(p.role == "words" for p in item.parts):
            raise Refused("invalid_request", "document-question-answering needs the document's words here, as "
                                             "[[word, [x0, y0, x1, y1]]]: pictures are not read (no OCR)")
        words = _words(item.text("words"))
        longest = min(options.get("max_seq_len", self.model.max_tokens), self.model.max_tokens)
        room = longest - len(self.model.tokenizer(question)["input_ids"]) - 2
        options["max_seq_len"] = longest
        options.setdefault("doc_stride", min(longest // 2, 256))
        if options["doc_stride"] >= room:
            raise Refused("invalid_request", f"beside the question there is room for {max(room, 0)} tokens of the "
                                             f"document, and 'doc_stride' is {options['doc_stride']}: shorten one")
        return {"question": question, "image": None, "word_boxes": words}


def _words(text):
    """[[word, [x0, y0, x1, y1]]] out of JSON, the corners in thousandths of the page."""
    try:
        words = json.loads(text)
        right = isinstance(words, list) and words and all(
            isinstance(word, str) and len(box) == 4 and all(type(n) is int and 0 <= n <= 1000 for n in box)
            for word, box in words)
    except (ValueError, TypeError, RecursionError):
        right = False
    if not right:
        raise Refused("invalid_request", "the words should be JSON: [[word, [x0, y0, x1, y1]]], corners from 0 to 1000")
    if len(words) > WORDS_MAX:
        raise Refused("too_large", f"the document has {len(words)} words; the limit is {WORDS_MAX}")
    return words
