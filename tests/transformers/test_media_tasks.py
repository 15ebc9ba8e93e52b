"""The tasks on images and sound against transformers.pipeline (tests/golden/tasks/make_media.py), and their refusals.

In the test's own process, through loading.load() and Task.read()/run(), as the compute thread does it.
"""
import base64
import io
import json
import shutil
import struct
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "tasks"
sys.path[:0] = [str(ROOT / "python"), str(GOLDEN)]

torch = pytest.importorskip("torch")
soundfile = pytest.importorskip("soundfile")
from PIL import Image  # noqa: E402

from berth_transformers import chat_template, loading, media  # noqa: E402
from berth_transformers.chat_template import ChatTemplate  # noqa: E402
from berth_transformers.jobs import Answer, Item, Job, Part, Refused  # noqa: E402
from berth_transformers.tasks import pipelines  # noqa: E402

FOLDERS = ["image_classification", "image_classification_one", "image_features", "zero_shot_image", "object_detection",
           "zero_shot_detection", "segmentation", "segmentation_panoptic", "depth", "video", "keypoints", "document",
           "image_to_text", "image_text_to_text", "speech_ctc", "speech_whisper", "audio_classification",
           "zero_shot_audio", "text_to_audio"]
CLOSE = 1e-4
SAMPLE = 0.5 / 32767 + CLOSE  # of a WAV of 16 bits: half a step


@pytest.fixture(scope="module")
def models():
    """Folder to loaded model, each loaded once."""
    held = {}

    def get(folder):
        if folder not in held:
            held[folder] = loading.load(GOLDEN / folder, device="cpu")
        return held[folder]
    return get


def golden(folder):
    return json.loads((GOLDEN / f"{folder}.json").read_text())


def part(said):
    if "file" in said:
        return Part("bytes", (GOLDEN / "media" / said["file"]).read_bytes(), said.get("role", ""))
    return Part("text", said["text"], said.get("role", ""))


def item(task, parts, params=None):
    job = Job(1, task, params or {}, [])
    job.items = [Item(job, i, p) for i, p in enumerate([parts])]
    return job.items[0]


def ask(model, task, parts, params=None):
    with torch.inference_mode():
        answer, = model.tasks[task].run([model.tasks[task].read(item(task, parts, params))])
    if isinstance(answer, Refused):
        raise answer
    assert isinstance(answer, Answer)
    return answer


def refusal(model, task, parts, params=None):
    with pytest.raises(Refused) as refused:
        ask(model, task, parts, params)
    return refused.value


def as_reference(answer, task):
    """berth's answer as the pipeline has it."""
    if task == "text-to-audio":
        return soundfile.read(io.BytesIO(answer.parts[0].data), dtype="float32")
    if answer.parts:
        return [answer.parts[0].data.tolist()]  # the pipeline's is a batch of one
    if task == "image-to-text":
        return [answer.result]
    if task == "image-text-to-text":
        return answer.result["text"]
    return answer.result


def assert_same(got, want, where=""):
    assert type(got) is type(want) or isinstance(got, (int, float)) and isinstance(want, (int, float)), where
    if isinstance(want, dict):
        assert list(got) == list(want) or set(got) == set(want), f"{where}: {list(got)}, not {list(want)}"
        for k in want:
            if k in ("mask", "depth"):
                assert_same_picture(got[k], want[k], f"{where}.{k}")
            else:
                assert_same(got[k], want[k], f"{where}.{k}")
    elif isinstance(want, list):
        assert len(got) == len(want), f"{where}: {len(got)} of {len(want)}"
        for i, (g, w) in enumerate(zip(got, want)):
            assert_same(g, w, f"{where}[{i}]")
    elif isinstance(want, float):
        assert got == pytest.approx(want, abs=CLOSE), where
    else:
        assert got == want, where


def assert_same_picture(got, want, where):
    got, want = (np.asarray(Image.open(io.BytesIO(base64.b64decode(p)))).astype(int) for p in (got, want))
    assert got.shape == want.shape, where
    assert np.abs(got - want).max() <= 1, where  # a depth that lies on the edge of a step


@pytest.mark.parametrize("folder", FOLDERS)
def test_answers_are_those_of_the_pipeline(models, folder):
    said, model = golden(folder), models(folder)
    task = said["task"]
    assert model.task == task and said["cases"]
    for i, case in enumerate(said["cases"]):
        got = as_reference(ask(model, task, [part(p) for p in case["parts"]], case["parameters"]), task)
        where = f"{folder}[{i}]"
        if task == "text-to-audio":
            assert got[1] == case["answer"]["sampling_rate"]
            np.testing.assert_allclose(got[0], case["answer"]["audio"], atol=SAMPLE, rtol=0, err_msg=where)
        else:
            assert_same(got, case["answer"], where)


@pytest.mark.parametrize("folder", ["image_classification", "image_features", "object_detection", "video",
                                    "audio_classification"])
def test_what_runs_together_answers_as_alone(models, folder):
    model, task = models(folder), golden(folder)["task"]
    if task == "audio-classification":
        datas = [media.wav(melody(16000, 0.7, seed), 16000) for seed in (1, 2, 3)]
    elif task == "video-classification":
        datas = [(GOLDEN / "media" / "moving.gif").read_bytes(), animation(3), animation(9)]
    else:
        datas = [still(i) for i in (0, 3, 9)]
    t = model.tasks[task]
    with torch.inference_mode():
        alone = [as_reference(t.run([t.read(item(task, [Part("bytes", d)]))])[0], task) for d in datas]
        requests = [t.read(item(task, [Part("bytes", d)])) for d in datas]
        assert len({r.key for r in requests}) == 1
        together = [as_reference(a, task) for a in t.run(requests)]
    assert alone[0] != alone[1]
    for a, b in zip(together, alone):
        assert_same(a, b)


def test_other_shapes_do_not_run_together(models):
    t = models("audio_classification").tasks["audio-classification"]
    with torch.inference_mode():
        keys = [t.read(item("audio-classification", [Part("bytes", media.wav(melody(16000, s, 1), 16000))])).key
                for s in (0.5, 0.6)]
    assert keys[0] != keys[1]


# ---- images ----

def still(shift):
    from make_media import drawing
    out = io.BytesIO()
    drawing(90, 70, shift).save(out, "PNG")
    return out.getvalue()


def animation(shift):
    from make_media import drawing
    out = io.BytesIO()
    frames = [drawing(40, 32, i + shift) for i in range(12)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def png_claiming(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b""))


def gif_claiming(width, height):
    """A small logical screen, and a frame that is far larger than it."""
    return (b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + bytes(6) + b"," +
            struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;")


def webp_claiming(width, height):
    lossless = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(20)
    body = b"WEBPVP8L" + struct.pack("<I", len(lossless)) + lossless
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_an_image_of_a_billion_pixels_is_refused_by_its_header(models):
    model = models("image_classification")
    began = time.monotonic()
    refused = refusal(model, "image-classification", [Part("bytes", png_claiming(50000, 20000))])
    assert refused.code == "too_large" and str(media.IMAGE_PIXELS_MAX) in refused.sentence
    assert time.monotonic() - began < 1
    assert refusal(model, "image-classification", [Part("bytes", png_claiming(2**31 - 1, 2**31 - 1))]).code in (
        "too_large", "unsupported_type")
    assert refusal(model, "image-classification", [Part("bytes", gif_claiming(60000, 60000))]).code in (
        "too_large", "invalid_request")
    assert refusal(model, "image-classification", [Part("bytes", webp_claiming(16383, 16383))]).code == "too_large"


@pytest.mark.parametrize("size", [(1, 60000), (60000, 1)])
def test_an_image_that_is_a_line_is_refused(models, size):
    out = io.BytesIO()
    Image.new("RGB", size).save(out, "PNG")
    refused = refusal(models("image_classification"), "image-classification", [Part("bytes", out.getvalue())])
    assert refused.code == "invalid_request" and "200 times" in refused.sentence


def test_a_model_that_asks_for_very_large_pictures_is_refused(tmp_path):
    shutil.copytree(GOLDEN / "image_classification", tmp_path, dirs_exist_ok=True)
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"size": {"height": 10**6, "width": 10**6}}))
    with pytest.raises(Refused) as e:
        loading.load(tmp_path, device="cpu")
    assert e.value.code == "damaged_file" and "1000000" in e.value.sentence


def test_images_that_cannot_be_read_are_refused(models):
    model = models("image_classification")
    whole = (GOLDEN / "media" / "picture.png").read_bytes()
    jpeg = (GOLDEN / "media" / "picture.jpg").read_bytes()

    def code(data):
        return refusal(model, "image-classification", [Part("bytes", data)]).code
    assert code(whole[:len(whole) // 2]) == "invalid_request"
    assert code(jpeg[:len(jpeg) // 2]) == "invalid_request"
    for data in (b"", b"GIF", b"hello, this is no picture", (GOLDEN / "media" / "melody.wav").read_bytes()):
        assert code(data) == "unsupported_type"
    tiff = io.BytesIO()
    Image.new("RGB", (9, 9)).save(tiff, "TIFF")
    assert code(tiff.getvalue()) == "unsupported_type"
    assert code(bytes(media.IMAGE_BYTES_MAX + 1)) == "too_large"


def test_bytes_that_were_damaged_anywhere_are_refused_or_read(models):
    """Never anything but an answer or a refusal."""
    model = models("image_classification")
    rng = np.random.default_rng(5)
    for name in ("picture.png", "picture.jpg", "picture.webp", "grey.bmp", "moving.gif"):
        data = (GOLDEN / "media" / name).read_bytes()
        for _ in range(40):
            bad = bytearray(data)
            for at in rng.integers(0, min(len(bad), 400), 3):
                bad[at] = rng.integers(0, 256)
            try:
                ask(model, "image-classification", [Part("bytes", bytes(bad))])
            except Refused as e:
                assert e.code in ("invalid_request", "unsupported_type", "too_large")


def test_neither_a_path_nor_an_address_is_followed(models):
    for text in (str(GOLDEN / "media" / "picture.png"), "http://127.0.0.1:1/picture.png", "data:image/png;base64,aGk="):
        refused = refusal(models("image_classification"), "image-classification", [Part("text", text)])
        assert refused.code == "invalid_request"
        with pytest.raises(Refused):
            media.image(text)
        with pytest.raises(Refused):
            media.sound(text, 16000)


def test_a_view_of_shared_memory_is_read(models):
    data = memoryview((GOLDEN / "media" / "picture.png").read_bytes())
    assert ask(models("image_classification"), "image-classification", [Part("bytes", data)]).result
    sound = memoryview((GOLDEN / "media" / "melody.wav").read_bytes())
    assert ask(models("speech_ctc"), "automatic-speech-recognition", [Part("bytes", sound)]).result["text"]


def test_a_still_picture_is_no_video(models):
    refused = refusal(models("video"), "video-classification", [part({"file": "picture.png"})])
    assert refused.code == "invalid_request" and "frames" in refused.sentence


def test_pictures_too_large_for_an_answer_are_refused():
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (500, 500), dtype=np.uint8))
    with pytest.raises(Refused) as refused:
        pipelines.tree({"depth": noise})
    assert refused.value.code == "too_large"


# ---- sound ----

def melody(rate, seconds, seed):
    from make_media import melody as made
    return made(rate, seconds, seed).astype(np.float32)


def sine(rate, seconds, hertz):
    return np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


def encoded(samples, rate, **how):
    out = io.BytesIO()
    soundfile.write(out, samples, rate, **how)
    return out.getvalue()


@pytest.mark.parametrize("rate, wanted", [(44100, 16000), (48000, 16000), (8000, 16000), (11025, 16000), (22050, 16000),
                                          (16000, 44100), (44100, 48000), (16000, 16000)])
def test_resampling_is_exact_below_the_cut(rate, wanted):
    """Against the sine itself, away from its ends; f32 sums of 64 crossings are worth about 1e-6."""
    edge = wanted // 10
    for hertz in (100, 1000, 0.42 * min(rate, wanted)):
        data = encoded(sine(rate, 1.0, hertz), rate, format="WAV", subtype="FLOAT")
        got = media.sound(data, wanted)
        assert len(got) == wanted
        assert np.abs(got - sine(wanted, 1.0, hertz))[edge:-edge].max() < 2e-6
    if rate > wanted:
        data = encoded(sine(rate, 1.0, 0.52 * wanted), rate, format="WAV", subtype="FLOAT")
        assert np.abs(media.sound(data, wanted))[edge:-edge].max() < 2e-6


def test_resampling_does_not_depend_on_blocks():
    samples = melody(44100, 1.0, 3)
    whole = np.concatenate(list(media.resampled(iter([samples]), 44100, 16000)))
    pieces = np.concatenate(list(media.resampled((samples[i:i + 777] for i in range(0, 44100, 777)), 44100, 16000)))
    np.testing.assert_allclose(whole, pieces, atol=1e-6, rtol=0)
    assert len(whole) == 16000


def test_the_same_sound_at_another_rate_has_the_same_answer(models):
    model = models("audio_classification")
    at16, at44 = (ask(model, "audio-classification", [Part("bytes", encoded(melody(r, 1.5, 1), r, format="WAV",
                                                                             subtype="FLOAT"))]).result
                  for r in (16000, 44100))
    assert_same(at44, at16)


@pytest.mark.parametrize("how", [("WAV", "PCM_U8", 2 / 256), ("WAV", "PCM_16", 1e-4), ("WAV", "PCM_24", 1e-6),
                                 ("WAV", "PCM_32", 1e-6), ("WAV", "FLOAT", 0), ("FLAC", "PCM_16", 1e-4),
                                 ("FLAC", "PCM_24", 1e-6), ("OGG", "VORBIS", 0.05), ("MP3", "MPEG_LAYER_III", 0.05)])
def test_formats_of_sound(how):
    """Within the step of the format, or what its loss does to a melody."""
    kind, subtype, step = how
    samples = 0.5 * melody(16000, 1.0, 7)
    got = media.sound(encoded(np.stack([samples, samples], axis=1), 16000, format=kind, subtype=subtype), 16000)
    assert got.dtype == np.float32 and got.shape == samples.shape
    assert np.abs(got - samples).max() <= step


def test_channels_are_averaged():
    both = np.stack([0.5 * sine(16000, 0.2, 300), -0.5 * sine(16000, 0.2, 300)], axis=1)
    assert np.abs(media.sound(encoded(both, 16000, format="WAV", subtype="FLOAT"), 16000)).max() < 1e-6


def test_sounds_that_cannot_be_read_are_refused(models):
    model, task = models("speech_ctc"), "automatic-speech-recognition"

    def refused(data):
        return refusal(model, task, [Part("bytes", data)])
    flac = (GOLDEN / "media" / "other.flac").read_bytes()
    assert refused(flac[:len(flac) // 2]).code == "invalid_request"
    for data in (b"", b"RIFF", b"hello, this is no sound at all", (GOLDEN / "media" / "picture.png").read_bytes(),
                 encoded(sine(16000, 0.1, 99), 16000, format="AIFF", subtype="PCM_16")):
        assert refused(data).code == "unsupported_type"
    assert "no samples" in refused(encoded(np.zeros(0, np.float32), 16000, format="WAV", subtype="PCM_16")).sentence
    nan = encoded(np.full(16000, np.nan, np.float32), 16000, format="WAV", subtype="FLOAT")
    assert "no numbers" in refused(nan).sentence
    assert refused(encoded(np.zeros((100, 9), np.float32), 16000, format="WAV")).code == "unsupported_type"
    assert refused(encoded(sine(22254, 0.1, 99), 22254, format="WAV")).code == "unsupported_type"
    assert refused(encoded(sine(500, 0.1, 99), 500, format="WAV")).code == "unsupported_type"


def test_streams_that_did_not_know_their_length():
    samples = 0.5 * sine(16000, 1.0, 440)
    wav = bytearray(encoded(samples, 16000, format="WAV", subtype="PCM_16"))
    for at in (4, wav.index(b"data") + 4):
        wav[at:at + 4] = b"\xff" * 4
    assert np.abs(media.sound(bytes(wav), 16000) - samples).max() < 1e-4
    flac = bytearray(encoded(samples, 16000, format="FLAC", subtype="PCM_16"))
    flac[21] &= 0xF0  # STREAMINFO's number of samples, 36 bits, 0 where it is unknown
    flac[22:26] = bytes(4)
    with pytest.raises(Refused) as refused:
        media.sound(bytes(flac), 16000)
    assert refused.value.code == "unsupported_type" and "does not say how long" in refused.value.sentence


def test_a_sound_that_is_too_long_is_refused(monkeypatch):
    long = encoded(np.zeros(1000 * (media.SOUND_SECONDS_MAX + 1), np.int16), 1000, format="FLAC", subtype="PCM_16")
    with pytest.raises(Refused) as refused:
        media.sound(long, 16000)
    assert refused.value.code == "too_large" and "1800 seconds" in refused.value.sentence
    monkeypatch.setattr(media, "SOUND_SECONDS_MAX", 1)  # by what is decoded, where the header does not say it
    monkeypatch.setattr(media, "_check_sound", lambda file: None)
    with pytest.raises(Refused):
        media.sound(encoded(np.zeros(20000, np.int16), 16000, format="OGG", subtype="VORBIS"), 16000)


def test_whisper_reads_beyond_its_window_unasked(models):
    model, task = models("speech_whisper"), "automatic-speech-recognition"
    timed = ask(model, task, [part({"file": "long.flac"})], {"return_timestamps": True}).result
    plain = ask(model, task, [part({"file": "long.flac"})]).result
    assert timed["chunks"] and plain == {"text": timed["text"]}


# ---- parameters ----

ONE = {"candidate_labels": ["a"]}


@pytest.mark.parametrize("folder, file, params, code", [
    ("image_classification", "picture.png", {"topk": 3}, "unsupported_option"),
    ("image_classification", "picture.png", {"timeout": 3.0}, "unsupported_option"),
    ("image_classification", "picture.png", {"top_k": -1}, "invalid_request"),
    ("image_classification", "picture.png", {"function_to_apply": "relu"}, "invalid_request"),
    ("image_features", "picture.png", {"return_tensors": True}, "unsupported_option"),
    ("segmentation", "picture.png", {"subtask": "panoptic"}, "unsupported_option"),
    ("zero_shot_image", "picture.png", {}, "invalid_request"),
    ("zero_shot_image", "picture.png", {"candidate_labels": []}, "invalid_request"),
    ("zero_shot_image", "picture.png", {"candidate_labels": ["a"] * 1001}, "too_large"),
    ("zero_shot_image", "picture.png", {**ONE, "hypothesis_template": "{:>999999999}"}, "invalid_request"),
    ("zero_shot_image", "picture.png", {**ONE, "hypothesis_template": "{0.__class__}"}, "invalid_request"),
    ("zero_shot_image", "picture.png", {**ONE, "hypothesis_template": "no place"}, "invalid_request"),
    ("speech_ctc", "melody.wav", {"return_timestamps": True}, "invalid_request"),
    ("speech_ctc", "melody.wav", {"return_timestamps": 3}, "invalid_request"),
    ("speech_ctc", "melody.wav", {"language": "fr"}, "unsupported_option"),
    ("speech_ctc", "melody.wav", {"stride_length_s": 1.0}, "invalid_request"),
    ("speech_ctc", "melody.wav", {"chunk_length_s": 1.0, "stride_length_s": 0.6}, "invalid_request"),
    ("speech_ctc", "melody.wav", {"chunk_length_s": 0.0}, "invalid_request"),
    ("speech_ctc", "melody.wav", {"decoder_kwargs": {}}, "unsupported_option"),
    ("speech_whisper", "melody.wav", {"return_timestamps": "char"}, "invalid_request"),
    ("speech_whisper", "melody.wav", {"language": "klingon"}, "invalid_request"),
    ("speech_whisper", "melody.wav", {"generation_parameters": {"max_new_tokens": 4000}}, "invalid_request"),
    ("speech_whisper", "melody.wav", {"generation_parameters": {"custom_generate": "/tmp/x"}}, "unsupported_option"),
    ("speech_whisper", "melody.wav", {"generation_parameters": {"num_beams": 4000}}, "invalid_request"),
    ("image_to_text", "picture.png", {"generate_parameters": {"assistant_model": "x"}}, "unsupported_option"),
    ("image_to_text", "picture.png", {"generate_parameters": {"num_beams": 0}}, "invalid_request"),
    ("image_to_text", "picture.png", {"generate_parameters": {"max_new_tokens": 2**62}}, "invalid_request"),
    ("image_to_text", "picture.png", {"generate_parameters": {"max_length": 0}}, "invalid_request"),
    ("image_to_text", "picture.png", {"generate_parameters": {"temperature": -1.0}}, "invalid_request"),
    ("image_to_text", "picture.png", {"generate_parameters": {"typical_p": 0.0}}, "invalid_request"),
    ("image_to_text", "picture.png", {"generate_parameters": {"repetition_penalty": float("nan")}}, "invalid_request"),
    ("image_to_text", "picture.png", {"generate_parameters": {"cache_implementation": "static"}}, "unsupported_option"),
    ("speech_whisper", "melody.wav", {"generation_parameters": {"num_beams": 0}}, "invalid_request"),
    ("segmentation_panoptic", "picture.png", {"subtask": "instance"}, "unsupported_option"),
    ("zero_shot_image", "picture.png", {"candidate_labels": ["a b" * 5000]}, "input_too_long"),
    ("zero_shot_detection", "picture.png", {"candidate_labels": ["a b" * 5000]}, "input_too_long"),
    ("zero_shot_audio", "melody.wav", {"candidate_labels": ["a b" * 5000]}, "input_too_long"),
    ("video", "moving.gif", {"frame_sampling_rate": 2**62}, "invalid_request"),
    ("video", "moving.gif", {"frame_sampling_rate": 2**64 - 1}, "invalid_request"),
    ("image_classification", "picture.png", {"top_k": 2**64 - 1}, "invalid_request"),
    ("keypoints", "picture.png", {}, "invalid_request"),
])
def test_parameters_are_refused_by_name(models, folder, file, params, code):
    refused = refusal(models(folder), golden(folder)["task"], [part({"file": file})], params)
    assert refused.code == code, refused.sentence
    assert "/" not in refused.sentence.replace("'/", "")  # no path of this machine


@pytest.mark.parametrize("params", [{"temperature": -1.0}, {"temperature": float("nan")}, {"repetition_penalty": 0.0},
                                    {"typical_p": 0.0}, {"top_p": 2.0}, {"max_new_tokens": 2**64 - 1}], ids=str)
def test_a_chat_is_not_told_what_no_model_can_do(models, params):
    parts = [part({"file": "picture.png", "role": "user"}), part({"text": "What is this?"})]
    assert refusal(models("image_text_to_text"), "image-text-to-text", parts, params).code == "invalid_request"


def test_a_captions_length_is_cut_to_the_models_positions(models):
    made = ask(models("image_to_text"), "image-to-text", [part({"file": "picture.png"})],
               {"generate_parameters": {"max_new_tokens": 4096, "min_new_tokens": 4096}})
    assert made.generated == models("image_to_text").config.get_text_config(decoder=True).max_position_embeddings


def test_the_images_of_a_chat_are_bounded_together(models, monkeypatch):
    picture = part({"file": "picture.png", "role": "user"})
    monkeypatch.setattr(media, "IMAGE_PIXELS_MAX", 3 * 64 * 64)
    assert refusal(models("image_text_to_text"), "image-text-to-text", [picture] * 20).code == "too_large"


def test_speech_of_no_text_is_refused(models):
    assert refusal(models("text_to_audio"), "text-to-audio", [Part("text", "a" * 10_001)]).code == "too_large"
    assert refusal(models("text_to_audio"), "text-to-audio", [Part("text", " ")]).code == "invalid_request"


def test_the_template_of_a_chat_about_pictures_is_bounded_and_sees_no_picture(models, monkeypatch):
    model, task = models("image_text_to_text"), "image-text-to-text"
    parts = [part({"file": "picture.png", "role": "user"}), part({"text": "What is this?"})]
    for template in ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
                     "{% set n = namespace(x=['a']) %}{% for i in range(40) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
                     "{{ n.x }}", "{{ messages[0].content[0].image.size }}", "{{ messages.__class__ }}"):
        task_object = type(model.tasks[task])(model)
        monkeypatch.setattr(task_object, "_template", ChatTemplate(model.processor.tokenizer, template))
        monkeypatch.setattr(chat_template, "SECONDS_MAX", 0.3)
        with pytest.raises(Refused) as e:
            task_object.read(item(task, parts))
        assert e.value.code in ("unsupported_option", "invalid_request")


@pytest.mark.parametrize("words", ["[]", "{", '[["a"]]', '[["a", [0, 0, 0, 2000]]]', '[["a", [0, 0, 1.5, 2]]]', None])
def test_documents_need_their_words(models, words):
    parts = [Part("text", "what?", "question")] + [Part("text", w, "words") for w in [words] if w]
    assert refusal(models("document"), "document-question-answering", parts).code == "invalid_request"


def test_a_document_beside_a_question_that_leaves_no_room(models):
    parts = [Part("text", "what " * 200, "question"), Part("text", '[["a", [0, 0, 1, 2]]]', "words")]
    assert refusal(models("document"), "document-question-answering", parts).code == "invalid_request"


# ---- words about pictures ----

def test_a_chat_about_a_picture(models):
    model, task = models("image_text_to_text"), "image-text-to-text"
    parts = [part({"file": "picture.png", "role": "user"}), part({"text": "What is this?"})]
    whole = ask(model, task, parts, {"max_new_tokens": 12})
    assert whole.result["finish"] == "length" and whole.generated == 12 and whole.tokens > 16
    stop = whole.result["text"][3]
    cut = ask(model, task, parts, {"max_new_tokens": 12, "stop": [stop]}).result
    assert cut == {"text": whole.result["text"].split(stop)[0], "finish": "stop_sequence"}
    one, two = (ask(model, task, parts, {"max_new_tokens": 8, "temperature": 1.5, "seed": 7}).result for _ in range(2))
    assert one == two and one["seed"] == 7
    assert ask(model, task, parts, {"max_new_tokens": 12, "temperature": 0}).result == whole.result
    assert refusal(model, task, [Part("text", "hi", "wizard")]).code == "invalid_request"
    assert refusal(model, task, parts, {"stop": [""]}).code == "invalid_request"
    assert refusal(model, task, [Part("text", "long " * 400, "user")]).code == "input_too_long"


def test_a_processor_that_needs_torchvision_is_refused_at_load(tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((GOLDEN / "image_classification" / name).read_bytes())
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "Sam3ImageProcessor"}')
    with pytest.raises(Refused) as refused:
        loading.load(tmp_path, device="cpu")
    assert refused.value.code == "unsupported_option" and "torchvision" in refused.value.sentence


def test_a_loaded_model_says_what_it_knows(models):
    assert models("image_classification").tasks["image-classification"].extra()["labels"][:2] == ["circle", "square"]
    assert models("speech_whisper").tasks["automatic-speech-recognition"].extra() == {"sampling_rate": 16000}
    assert "text-to-speech" in models("text_to_audio").tasks
