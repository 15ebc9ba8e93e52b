"""Sound to text: models that say a sign for each moment (CTC), and models that generate (Whisper and its kin)."""
from dataclasses import replace

from .. import errors, generate_parameters, media, params
from ..jobs import Answer, Refused
from .pipelines import PipelineTask, tree


class SpeechRecognition(PipelineTask):
    names = ("automatic-speech-recognition",)
    auto = ("AutoModelForCTC", "AutoModelForSpeechSeq2Seq", "AutoModelForTDT")
    needs = ("tokenizer", "feature_extractor")
    packages = ("soundfile",)
    pipeline = "AutomaticSpeechRecognitionPipeline"
    parameters = {"language": "text", "task": ("transcribe", "translate"), "generation_parameters": "map",
                  "chunk_length_s": "float", "stride_length_s": "float"}

    def options(self, item):
        given = dict(item.job.params)
        stamps = given.pop("return_timestamps", None)
        if not (stamps is None or isinstance(stamps, bool) or stamps in ("word", "char")):
            raise Refused("invalid_request", "'return_timestamps' should be true, false, \"word\" or \"char\"")
        options = params.read(replace(item.job, params=given), self.parameters)
        generate = generate_parameters.checked(options.pop("generation_parameters", {}))
        for name in ("language", "task"):
            if name in options and self.pipe.type != "seq2seq_whisper":
                raise Refused("unsupported_option", f"the model takes no '{name}'")
            if name in options:
                generate[name] = options.pop(name)
        if generate and self.pipe.type == "ctc":
            raise Refused("unsupported_option", "the model does not generate: it has no generation_parameters")
        if generate:
            options["generate_kwargs"] = generate
        if stamps is not None and (stamps or self.pipe.type == "seq2seq_whisper"):
            options["return_timestamps"] = stamps
        self._check_pieces(options)
        return options

    @staticmethod
    def _check_pieces(options):
        length = options.get("chunk_length_s")
        if length is None and "stride_length_s" in options:
            raise Refused("invalid_request", "'stride_length_s' needs 'chunk_length_s'")
        if length is None:
            return
        stride = options.get("stride_length_s", length / 6)
        if not 1 <= length <= media.SOUND_SECONDS_MAX or not 0 <= stride <= length / 3:
            raise Refused("invalid_request", f"'chunk_length_s' should be 1 to {media.SOUND_SECONDS_MAX}, and "
                                             "'stride_length_s' at most a third of it")

    def subject(self, item, options):
        samples = media.sound(item.bytes()[0], self.model.feature_extractor.sampling_rate)
        whole = getattr(self.model.feature_extractor, "n_samples", len(samples))
        if self.pipe.type == "seq2seq_whisper" and len(samples) > whole and "chunk_length_s" not in options:
            # Beyond one window Whisper finds its way by timestamps; without them the pipeline only refuses.
            options["return_timestamps"] = options.get("return_timestamps") or "unasked"
        return samples

    def read(self, item):
        request = super().read(item)
        during, after = request.options
        if after.get("return_timestamps") == "unasked":
            during, after = {**during, "return_timestamps": True}, {**after, "return_timestamps": True, "drop": True}
            request.options = (during, after)
        return request

    def run(self, requests):
        try:
            return [self._heard(r) for r in requests]
        except ValueError as e:  # of generate(): an unknown language, more tokens than there is room for
            if len(requests) > 1 or "generate_kwargs" not in requests[0].item.job.params and self.pipe.type == "ctc":
                raise
            return [Refused("invalid_request", errors.plain(e))]

    def _heard(self, request):
        during, after = request.options
        after = dict(after)
        drop = after.pop("drop", False)
        out = self.pipe.postprocess([self.pipe.forward(piece, **during) for piece in request.inputs], **after)
        kept = {k: v for k, v in out.items() if k == "text" or k == "chunks" and not drop}
        return Answer(result=tree(kept))

    def extra(self):
        return {"sampling_rate": self.model.feature_extractor.sampling_rate}
