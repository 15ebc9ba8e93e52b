"""Images (and words) to words: models with a picture's tokens among those of the text, and captioners."""
import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from .. import errors, generate_parameters, media, params, sampling
from ..chat_template import ChatTemplate
from ..jobs import Answer, Refused
from ..text_stream import Decoder, Stops
from . import Request
from .pipelines import PATCH, PipelineTask, cost

NEW_TOKENS = 256  # where neither the caller nor the model says
STOPS_MAX = 16
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p")
ROLES = ("system", "developer", "user", "assistant", "tool")


class ImageTextToText(PipelineTask):
    """A chat whose messages hold images. Answered whole: it does not stream."""
    names = ("image-text-to-text",)
    auto = "AutoModelForImageTextToText"
    needs = ("processor",)
    packages = ("PIL",)
    pipeline = "ImageTextToTextPipeline"
    parameters = {"max_new_tokens": "uint", "min_new_tokens": "uint", "do_sample": "bool", "temperature": "float",
                  "top_k": "uint", "top_p": "float", "min_p": "float", "typical_p": "float",
                  "repetition_penalty": "float", "seed": "int", "stop": "texts"}

    @classmethod
    def suits(cls, model):
        return getattr(model.processor, "chat_template", None) is not None

    def __init__(self, model):
        super().__init__(model)
        self._template = ChatTemplate(model.processor.tokenizer, model.processor.chat_template)

    def read(self, item):
        options = params.read(item.job, self.parameters)
        sampling.check_ranges(options)
        seed, stop = options.pop("seed", None), options.pop("stop", [])
        if seed is not None:
            seed = (seed + item.index) % 2**63
        if len(stop) > STOPS_MAX or not all(stop):
            raise Refused("invalid_request", f"'stop' should be at most {STOPS_MAX} texts, none of them empty")
        generate = _sampling(options)
        inputs = self._encoded(messages(item))
        tokens = inputs["input_ids"].shape[1]
        generate["max_new_tokens"] = self._room(tokens, generate.get("max_new_tokens"))
        request = Request(item, inputs=inputs, cost=cost(inputs), tokens=tokens, options=(generate, stop, seed))
        request.key = id(request)
        return request

    def _encoded(self, chat):
        """Its prompt by the model's template, which sees that there are pictures, and not the pictures."""
        said = [{"role": m["role"], "content": [{k: v for k, v in c.items() if k != "image"} for c in m["content"]]}
                for m in chat]
        text = self._template.render(said, None, {}, said[-1]["role"] == "assistant")
        pictures = [c["image"] for m in chat for c in m["content"] if c["type"] == "image"]
        processor, begin = self.model.processor, self.model.processor.tokenizer.bos_token
        has_special = begin is not None and text.startswith(begin)
        try:
            inputs = processor(text=[text], images=[pictures] if pictures else None, return_tensors="pt",
                               **({"add_special_tokens": False} if has_special else {})).to(dtype=self.model.dtype)
        except ValueError as e:  # a template that has another number of places for pictures
            raise Refused("invalid_request", f"the model does not take this: {errors.plain(e)}") from e
        inputs["text"] = text  # what its pipeline looks for
        return inputs

    def _room(self, tokens, asked):
        room = self.model.max_tokens - tokens if self.model.max_tokens else None
        if room is not None and room < 1:
            raise Refused("input_too_long", f"the messages have {tokens} tokens; the model takes "
                                            f"{self.model.max_tokens}")
        usual = self.model.model.generation_config.max_new_tokens or NEW_TOKENS
        return min(asked or usual, room) if room is not None else asked or usual

    def run(self, requests):
        return [self._alone(r) for r in requests]

    def _alone(self, request):
        generate, stop, seed = request.options
        if seed is not None:
            torch.manual_seed(seed)
        if stop:
            generate = {**generate, "stopping_criteria": StoppingCriteriaList([_Stops(self.pipe.tokenizer, stop)])}
        out = self.pipe.forward(request.inputs, generate_kwargs=generate)
        ids = out["generated_sequence"][0]
        text = self.pipe.postprocess(out, return_type=_new_text())[0]["generated_text"]
        generated = len(ids) - (0 if self.model.config.is_encoder_decoder else request.tokens)
        cut = min((text.find(s) for s in stop if s in text), default=-1)
        ended = self._ends(int(ids[-1]))
        result = {"text": text[:cut] if cut >= 0 else text,
                  "finish": "stop_sequence" if cut >= 0 else "stop" if ended else "length"}
        if seed is not None and generate.get("do_sample", self.model.model.generation_config.do_sample):
            result["seed"] = seed
        return Answer(result=result, tokens=request.tokens, generated=generated)

    def _ends(self, token):
        ends = self.model.model.generation_config.eos_token_id
        return token in (ends if isinstance(ends, list) else [ends])


class _Stops(StoppingCriteria):
    """At the first of the stop texts. The library's own prepares a table of the whole vocabulary for each of them."""

    def __init__(self, tokenizer, stops):
        self._decoder, self._stops = Decoder(tokenizer), Stops(stops)

    def __call__(self, ids, scores, **_):
        self._stops.add(self._decoder.add(int(ids[0, -1])))
        return torch.full(ids.shape[:1], self._stops.hit, device=ids.device)


def _new_text():
    from transformers.pipelines.image_text_to_text import ReturnType
    return ReturnType.NEW_TEXT


def _sampling(options):
    """do_sample: said, or meant by what only sampling reads, unless the temperature is 0; else the model's own."""
    if options.get("temperature", 1) < sampling.COLD:
        return {k: v for k, v in options.items() if k not in SAMPLING} | {"do_sample": False}
    if any(k in options for k in SAMPLING):
        options.setdefault("do_sample", True)
    return options


def messages(item):
    """The item's parts as a chat (src/ipc/task.h): a part with a role begins a message, others go on with it."""
    chat, pixels = [], 0
    for part in item.parts:
        if part.kind not in ("text", "bytes") or part.media == "application/json":
            raise Refused("invalid_request", f"a message of {item.job.task} should be texts and images")
        if part.role and part.role not in ROLES:
            raise Refused("invalid_request", f"a message's role should be one of {', '.join(ROLES)}")
        if part.role or not chat:
            chat.append({"role": part.role or "user", "content": []})
        if part.kind == "text":
            chat[-1]["content"].append({"type": "text", "text": part.data})
            continue
        picture = media.image(part.data)
        pixels += picture.width * picture.height
        if pixels > media.IMAGE_PIXELS_MAX:
            raise Refused("too_large", f"the images have more than {media.IMAGE_PIXELS_MAX} pixels together: send "
                          "smaller ones, or fewer")
        chat[-1]["content"].append({"type": "image", "image": picture})
    if not chat:
        raise Refused("invalid_request", f"{item.job.task} takes at least one message")
    return chat


class ImageToText(PipelineTask):
    """A caption, as the pipeline of transformers 4.57.6 makes it; 5 has removed it and kept its models."""
    names = ("image-to-text",)
    auto = "AutoModelForImageTextToText"
    needs = ("tokenizer", "image_processor")
    packages = ("PIL",)
    parameters = {"generate_parameters": "map"}

    def _made(self):
        return None

    @classmethod
    def suits(cls, model):
        return model.config.model_type in ("vision-encoder-decoder", "git", "blip", "blip-2", "pix2struct")

    def read(self, item):
        options = generate_parameters.checked(params.read(item.job, self.parameters).get("generate_parameters", {}))
        picture = media.image(item.bytes()[0])
        if not ("max_new_tokens" in options or "max_length" in options or self._own_length()):
            options["max_new_tokens"] = NEW_TOKENS
        options |= generate_parameters.fitting(options, self._positions())
        inputs = self.model.image_processor(images=picture, return_tensors="pt").to(self.model.dtype)
        request = Request(item, inputs=inputs, cost=picture.width * picture.height // PATCH, options=options)
        request.key = id(request)
        return request

    def _positions(self):
        return getattr(self.model.config.get_text_config(decoder=True), "max_position_embeddings", None) or 0

    def _own_length(self):
        return self.model.model.generation_config.max_length

    def run(self, requests):
        return [self._alone(r) for r in requests]

    def _alone(self, request):
        ids = self.model.model.generate(**request.inputs.to(self.model.device), **request.options)[0]
        text = self.model.tokenizer.decode(ids, skip_special_tokens=True)
        return Answer(result={"generated_text": text}, generated=len(ids))
