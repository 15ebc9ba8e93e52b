#!/usr/bin/env python3
"""Makes the tiny models on images and sound of this folder, the pictures and sounds they are asked about (media/), and
the answers that the reference library gives.

    make_media.py                           all of them
    make_media.py FOLDER...                 these models, about the pictures and sounds that are there
    make_media.py --removed image_to_text   the answers of a task that Transformers 5 has removed: by a transformers
                                            (4.57.6) that still has it, first on PYTHONPATH, on the same model

Each folder is a model (media_models.py). FOLDER.json beside it: for each case the parts of the item as src/ipc/task.h
has them (files are in media/), the parameters, and the answer of transformers.pipeline, with pictures as PNG in
base64. Sound is given to it as numbers at the model's rate, since ffmpeg is what it reads files with.
"""
import base64
import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch
import transformers
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
MEDIA = HERE / "media"
STANDS_OUT = 2.0  # how many times as likely as the next one the best answer is, where that is a softmax
SOFTMAX = ("image-classification", "audio-classification", "video-classification", "zero-shot-image-classification",
           "zero-shot-audio-classification")


# ---- what is asked about ----

def drawing(width, height, shift=0, mode="RGB"):
    picture = Image.new(mode, (width, height), (230, 225, 210) if mode == "RGB" else (230, 225, 210, 90))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((5 + shift, 6, width // 2 + shift, height - 8), fill=(200, 40, 30), outline=(0, 0, 0))
    draw.rectangle((width // 2 + 4, 10 + shift // 2, width - 6, height // 2 + shift // 2), fill=(20, 80, 190))
    draw.polygon([(width // 2, height - 4), (width - 8, height - 4), (width - 20, height // 2 + 4)], fill=(30, 150, 60))
    for x in range(0, width, 9):
        draw.line((x, 0, width - x, height), fill=(90, 90, 40))
    return picture


def make_pictures():
    drawing(96, 72).save(MEDIA / "picture.png")
    drawing(150, 100, 4).save(MEDIA / "picture.jpg", quality=90)
    drawing(64, 90, 2).save(MEDIA / "picture.webp", quality=90)
    drawing(90, 66, 3, "RGBA").save(MEDIA / "clear.png")
    drawing(60, 60).convert("L").save(MEDIA / "grey.bmp")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn
    drawing(120, 80, 6).save(MEDIA / "turned.jpg", quality=90, exif=exif)
    frames = [drawing(40, 32, i) for i in range(12)]
    frames[0].save(MEDIA / "moving.gif", save_all=True, append_images=frames[1:], duration=80, loop=0)


def melody(rate, seconds, seed):
    """Tones below 3 kHz that begin and end softly; the same sound at every rate."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(rate * seconds)) / rate
    out = np.zeros_like(time)
    for start in np.arange(0, seconds - 0.2, 0.22):
        high, loud = rng.uniform(150, 2800), rng.uniform(0.2, 0.6)
        soft = np.clip(1 - np.abs(time - start - 0.2) / 0.2, 0, 1) ** 2
        out += loud * soft * np.sin(2 * np.pi * high * (time - start))
    return 0.8 * out / np.abs(out).max()


def make_sounds():
    for name, rate, seconds, seed, how in (
            ("melody.wav", 16000, 1.5, 1, "PCM_16"),
            ("other.flac", 16000, 1.1, 2, "PCM_16"), ("long.flac", 16000, 9.0, 3, "PCM_16"),
            ("coarse.wav", 8000, 1.0, 4, "PCM_U8")):
        soundfile.write(MEDIA / name, melody(rate, seconds, seed), rate, subtype=how)
    both = np.stack([melody(16000, 1.2, 5), melody(16000, 1.2, 6)], axis=1)
    soundfile.write(MEDIA / "stereo.ogg", both, 16000, format="OGG", subtype="VORBIS")
    soundfile.write(MEDIA / "stereo.mp3", both, 16000, format="MP3", subtype="MPEG_LAYER_III")


# ---- the cases: parts, parameters, and what the pipeline is called with where it differs ----

def files(*names):
    return [{"file": n} for n in names]


PICTURES = ("picture.png", "picture.jpg", "picture.webp", "clear.png", "grey.bmp", "turned.jpg", "moving.gif")
SOUNDS = ("melody.wav", "other.flac", "stereo.ogg", "stereo.mp3")


def case(parts, parameters=None, **call):
    return {"parts": parts, "parameters": parameters or {}, "call": {**(parameters or {}), **call}}


def image_classification():
    yield from (case(files(p)) for p in PICTURES)
    yield case(files("picture.png"), {"top_k": 2})
    yield case(files("picture.png"), {"top_k": 99})
    yield case(files("picture.jpg"), {"function_to_apply": "sigmoid"})
    yield case(files("picture.jpg"), {"function_to_apply": "none", "top_k": 3})


def image_classification_one():
    yield from (case(files(p)) for p in PICTURES[:2])
    yield case(files("picture.png"), {"function_to_apply": "softmax"})


def image_features():
    yield from (case(files(p)) for p in PICTURES[:2])
    yield case(files("picture.png"), {"pool": True})


def zero_shot_image():
    names = ["a circle", "two squares", "photo of this", "the king"]
    yield from (case(files(p), {"candidate_labels": names}) for p in PICTURES[:3])
    yield case(files("picture.png"), {"candidate_labels": names[:2], "hypothesis_template": "is it {}?"})
    yield case(files("picture.png"), {"candidate_labels": ["x"]})


def object_detection():
    yield from (case(files(p)) for p in PICTURES[:3])
    yield case(files("picture.png"), {"threshold": 0.2})
    yield case(files("picture.jpg"), {"threshold": 0.9})


def zero_shot_detection():
    names = ["circle", "square", "the king"]
    for p in PICTURES[:2]:
        parts = [*files(p)]
        yield case(parts, {"candidate_labels": names})
        yield case(parts, {"candidate_labels": names, "threshold": 0.6, "top_k": 5})


def segmentation():
    yield from (case(files(p)) for p in PICTURES[:2])
    yield case(files("picture.png"), {"subtask": "semantic"})


def segmentation_panoptic():
    yield from (case(files(p), {"threshold": 0.4}) for p in PICTURES[:2])
    yield case(files("picture.png"), {"threshold": 0.2, "mask_threshold": 0.4, "overlap_mask_area_threshold": 0.3})
    yield case(files("picture.png"), {"subtask": "semantic"})


def depth():
    yield from (case(files(p)) for p in PICTURES[:2])


def video():
    yield case(files("moving.gif"))
    yield case(files("moving.gif"), {"top_k": 2, "function_to_apply": "none"})


def keypoints():
    yield case(files("picture.png", "picture.jpg"))
    yield case(files("picture.jpg", "picture.png"), {"threshold": 0.1})


def document():
    words = [["invoice", [10, 10, 200, 40]], ["number", [210, 10, 400, 40]], ["2024", [410, 10, 500, 40]],
             ["total", [10, 60, 120, 90]], ["sum", [130, 60, 200, 90]], ["17", [210, 60, 260, 90]],
             ["paid", [10, 110, 90, 140]], ["to", [95, 110, 120, 140]], ["Anna", [130, 110, 220, 140]],
             ["Oslo", [230, 110, 320, 140]], ["may", [10, 160, 80, 190]], ["5", [90, 160, 110, 190]]]
    for question, parameters in (("what is the total?", {}), ("what is the date", {"top_k": 3}),
                                 ("name?", {"max_answer_len": 2}), ("who paid", {"handle_impossible_answer": True}),
                                 ("what is the name", {"max_seq_len": 16, "doc_stride": 4, "top_k": 2})):
        yield case([*files("picture.png"), {"text": question, "role": "question"},
                    {"text": json.dumps(words), "role": "words"}], parameters)


def image_to_text():
    yield from (case(files(p)) for p in PICTURES[:3])
    yield case(files("picture.png"), {"generate_parameters": {"max_new_tokens": 6}},
               generate_kwargs={"max_new_tokens": 6})
    yield case(files("picture.png"), {"generate_parameters": {"num_beams": 3, "max_new_tokens": 9}},
               generate_kwargs={"num_beams": 3, "max_new_tokens": 9})


def image_text_to_text():
    one = [{"role": "user", "file": "picture.png"}, {"text": "What is this?"}]
    yield case(one, {"max_new_tokens": 12})
    yield case(one, {"max_new_tokens": 12, "repetition_penalty": 1.5})
    yield case([{"role": "system", "text": "Be brief."}, *one, {"role": "assistant", "text": "A circle."},
                {"role": "user", "text": "And "}, {"file": "picture.jpg"}, {"text": "?"}], {"max_new_tokens": 9})


def speech_ctc():
    yield from (case(files(s)) for s in SOUNDS)
    yield case(files("melody.wav"), {"return_timestamps": "word"})
    yield case(files("melody.wav"), {"return_timestamps": "char"})
    yield case(files("long.flac"), {"chunk_length_s": 2.0, "stride_length_s": 0.4})


def speech_whisper():
    yield from (case(files(s)) for s in SOUNDS[:2])
    yield case(files("melody.wav"), {"return_timestamps": True})
    yield case(files("melody.wav"), {"return_timestamps": "word"})
    yield case(files("melody.wav"), {"language": "fr", "task": "translate"},
               generate_kwargs={"language": "fr", "task": "translate"})
    yield case(files("melody.wav"), {"generation_parameters": {"max_new_tokens": 4, "num_beams": 3}},
               generate_kwargs={"max_new_tokens": 4, "num_beams": 3})
    yield case(files("long.flac"), {"chunk_length_s": 5.0})
    yield case(files("long.flac"), {"return_timestamps": True})


def audio_classification():
    yield from (case(files(s)) for s in SOUNDS)
    yield case(files("melody.wav"), {"top_k": 2})
    yield case(files("melody.wav"), {"function_to_apply": "sigmoid"})
    yield case(files("melody.wav"), {"function_to_apply": "none"})


def zero_shot_audio():
    names = ["bell", "bird", "wind and rain"]
    yield from (case(files(s), {"candidate_labels": names}) for s in SOUNDS[:2])
    yield case(files("melody.wav"), {"candidate_labels": names, "hypothesis_template": "this is {}"})


def text_to_audio():
    yield case([{"text": "hello there"}])
    yield case([{"text": "the king, sold a ship."}])


# ---- asking the reference ----

REMOVED = ("image_to_text",)
# What berth calls otherwise than the pipeline.
OWN_WORDS = ("generate_parameters", "generation_parameters", "language", "task", "repetition_penalty")


def picture(name):
    return Image.open(MEDIA / name)


def sound(name, rate):
    samples, at = soundfile.read(MEDIA / name, dtype="float32", always_2d=True)
    assert at == rate, "the reference is only given sounds at the model's rate"
    return samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]


def png(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def messages(parts):
    """A part with a role begins a message."""
    out = []
    for p in parts:
        if "role" in p:
            out.append({"role": p["role"], "content": []})
        out[-1]["content"].append({"type": "image", "image": picture(p["file"])} if "file" in p
                                  else {"type": "text", "text": p["text"]})
    return out


def asked(pipe, task, parts, call):
    call = {k: v for k, v in call.items() if k not in OWN_WORDS}
    names = [p["file"] for p in parts if "file" in p]
    texts = {p.get("role", ""): p["text"] for p in parts if "text" in p}
    if task == "keypoint-matching":
        return pipe([picture(n) for n in names], **call)
    if task == "video-classification":
        count = pipe.model.config.num_frames
        gif = picture(names[0])
        frames = []
        for i in range(count):
            gif.seek(i)
            frames.append(np.asarray(gif.convert("RGB")))
        inputs = pipe.image_processor(list(np.stack(frames)), return_tensors="pt")
        return pipe.postprocess(pipe.forward(inputs), **call)
    if task == "document-question-answering":
        return pipe({"question": texts["question"], "image": None, "word_boxes": json.loads(texts["words"])}, **call)
    if task == "zero-shot-object-detection":
        labels = call.pop("candidate_labels")
        return pipe({"image": picture(names[0]), "candidate_labels": labels}, **call)
    if task == "image-text-to-text":
        call = {"max_new_tokens": call["max_new_tokens"], "return_full_text": False}
        return pipe(text=messages(parts), **call)[0]["generated_text"]
    if "audio-classification" in task or task == "automatic-speech-recognition":
        return pipe(sound(names[0], pipe.feature_extractor.sampling_rate), **call)
    if task == "text-to-audio":
        return pipe(texts[""], **call)
    return pipe(picture(names[0]), **call)


def plain(answer):
    """As JSON has it: pictures as PNG in base64, tensors as lists."""
    if isinstance(answer, Image.Image):
        return png(answer)
    if isinstance(answer, dict):
        return {k: plain(v) for k, v in answer.items() if k != "predicted_depth"}
    if isinstance(answer, (list, tuple)):
        return [plain(v) for v in answer]
    if isinstance(answer, (np.ndarray, torch.Tensor)):
        return plain(answer.tolist())
    return answer


def check_stands_out(folder, task, c, answer):
    if task not in SOFTMAX or len(answer) < 2 or c["call"].get("function_to_apply"):
        return
    best, second = answer[0]["score"], answer[1]["score"]
    if best < STANDS_OUT * second:
        print(f"{folder}: {c['parts']}: {best:.3f} is less than {STANDS_OUT} x {second:.3f}")


def answers(folder, task):
    if task == "video-classification":  # it asks for a library that reads files of videos; frames are handed over here
        from transformers.pipelines import video_classification
        video_classification.requires_backends = lambda *_: None
    pipe = transformers.pipeline(task, model=str(HERE / folder), dtype=torch.float32, device="cpu")
    cases = []
    for c in globals()[folder]():
        if "repetition_penalty" in c["parameters"]:
            pipe.model.generation_config.repetition_penalty = c["parameters"]["repetition_penalty"]
        answer = plain(asked(pipe, task, c["parts"], dict(c["call"])))
        if "repetition_penalty" in c["parameters"]:
            pipe.model.generation_config.repetition_penalty = 1.0
        check_stands_out(folder, task, c, answer)
        cases.append({"parts": c["parts"], "parameters": c["parameters"], "answer": answer})
    written = {"task": task, "versions": {"transformers": transformers.__version__, "torch": torch.__version__,
                                          "pillow": Image.__version__}, "cases": cases}
    (HERE / f"{folder}.json").write_text(json.dumps(written, indent=1) + "\n")


def make(folder, task, build):
    model, parts = build()
    shutil.rmtree(HERE / folder, ignore_errors=True)
    model.save_pretrained(HERE / folder)
    for p in parts:
        p.save_pretrained(HERE / folder)
    config = HERE / folder / "tokenizer_config.json"
    if config.exists():  # a name that transformers 4 knows too
        config.write_text(config.read_text().replace('"TokenizersBackend"', '"PreTrainedTokenizerFast"'))
    (HERE / folder / "README.md").write_text(
        f"---\npipeline_tag: {task}\nlibrary_name: transformers\n---\n\nA tiny random model, made by make_media.py.\n")


def main(names):
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    if "--removed" in names:
        for folder in set(names) - {"--removed"}:
            answers(folder, folder.replace("_", "-"))
        return
    from media_models import MODELS
    if not names:  # an Ogg file has a number of chance in it
        MEDIA.mkdir(exist_ok=True)
        make_pictures()
        make_sounds()
    for folder, (task, build) in MODELS.items():
        if not names or folder in names:
            make(folder, task, build)
            if folder not in REMOVED:
                answers(folder, task)


if __name__ == "__main__":
    main(sys.argv[1:])
