"""Images, sound and moving images from bytes, within limits. No path and no address is followed, no program started.

What the bytes are is decided by the bytes; the media type that came with them is a stranger's word and is not read. All
limits that a header can break are checked on the header, before anything is decoded. Called in the compute thread.
"""
import base64
import functools
import io
import math
import warnings

import numpy as np
import torch

from .jobs import Refused

IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
IMAGE_BYTES_MAX = 64 << 20
IMAGE_PIXELS_MAX = 64 << 20  # 192 MiB as RGB
IMAGE_RATIO_MAX = 200
VIDEO_FRAMES_MAX = 1024  # looked at; a model reads 8 to 32 of them
SOUND_FORMATS = ("WAV", "FLAC", "Ogg", "MP3")
SOUND_BYTES_MAX = 256 << 20
SOUND_SECONDS_MAX = 1800
SOUND_CHANNELS_MAX = 8
SOUND_RATE_MIN, SOUND_RATE_MAX = 1000, 192000
PICTURES_BYTES_MAX = 192 << 10  # of the pictures in one answer, in base64: a frame holds 256 KiB

# The resampler: a sinc of 64 zero crossings to each side under a Kaiser window, cut at 0.95 of the lower rate's half.
_CROSSINGS, _ROLLOFF, _BETA = 64, 0.95, 14.0
_KERNEL_MAX = 2 << 20  # floats; any pair of usual rates takes less than 0.4 Mi
_FRAMES_UNKNOWN = 2**62  # libsndfile says 2^63 - 1 where the length is not known
_BLOCK_FRAMES = 1 << 18  # decoded at a time, so that memory follows the result and not the file


# ---- images ----


def image(data):
    """The picture as Transformers' load_image() gives it: upright by its EXIF tag, RGB; an animation's first frame."""
    from PIL import ImageOps
    picture = _open_image(data)
    try:
        return ImageOps.exif_transpose(picture).convert("RGB")
    except _damage() as e:
        raise Refused("invalid_request", f"the image is damaged or cut short ({e}): send it again") from e


def moving_frames(data, wanted):
    """The frames with these numbers (from 0) of an animated GIF, WebP or PNG: uint8 [frames][height][width][3].
    Numbers past the end are left out, as Transformers' reader of videos does."""
    picture = _open_image(data)
    wanted, frames = set(wanted), []
    if max(wanted) >= VIDEO_FRAMES_MAX:
        raise Refused("invalid_request", f"frame {max(wanted)} is asked for; the limit is {VIDEO_FRAMES_MAX} frames")
    if len(wanted) * picture.width * picture.height > IMAGE_PIXELS_MAX:
        raise Refused("too_large", f"{len(wanted)} frames of {picture.width} x {picture.height} pixels are more than "
                                   f"{IMAGE_PIXELS_MAX} pixels: send smaller ones")
    try:
        for i in range(min(max(wanted) + 1, getattr(picture, "n_frames", 1))):
            picture.seek(i)
            if i in wanted:
                frames.append(np.asarray(picture.convert("RGB")))
    except _damage() as e:
        raise Refused("invalid_request", f"the animation is damaged or cut short ({e}): send it again") from e
    return np.stack(frames)


def png(picture):
    """A PIL image as PNG in base64."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode("ascii")


def _open_image(data):
    """The header read, nothing decoded."""
    data = _checked_bytes(data, "image", IMAGE_BYTES_MAX)
    library = _pillow()
    try:
        picture = library.open(io.BytesIO(data), formats=IMAGE_FORMATS)
    except (library.DecompressionBombError, library.DecompressionBombWarning) as e:
        raise Refused("too_large", f"the image has more than {IMAGE_PIXELS_MAX} pixels: send a smaller one") from e
    except _damage() as e:
        raise Refused("unsupported_type", "these bytes are not an image that can be read here: "
                                          f"send one as {', '.join(IMAGE_FORMATS)}") from e
    if picture.width * picture.height > IMAGE_PIXELS_MAX:
        raise Refused("too_large", f"the image has {picture.width} x {picture.height} pixels, more than "
                                   f"{IMAGE_PIXELS_MAX}: send a smaller one")
    if max(picture.size) > IMAGE_RATIO_MAX * max(min(picture.size), 1):  # brought to a height it would be very wide
        raise Refused("invalid_request", f"the image has {picture.width} x {picture.height} pixels; one side may be at "
                                         f"most {IMAGE_RATIO_MAX} times the other")
    return picture


@functools.cache
def _pillow():
    """PIL.Image, with no decoder imported but those of IMAGE_FORMATS. Its own check of pixels is set to ours, and its
    warning made an error: it also covers what only a decoder sees, such as later frames."""
    from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401
    from PIL import Image
    Image.MAX_IMAGE_PIXELS = IMAGE_PIXELS_MAX
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    return Image


def _damage():
    """What Pillow raises on strangers' bytes; its decoders are not stricter than this."""
    library = _pillow()
    return (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, OverflowError, MemoryError,
            library.DecompressionBombError, library.DecompressionBombWarning)


# ---- sound ----


def sound(data, rate):
    """The sound at rate samples a second, its channels averaged: float32 [samples]."""
    data = _checked_bytes(data, "sound", SOUND_BYTES_MAX)
    if not _known_sound(data[:16]):
        raise Refused("unsupported_type", "these bytes are not a sound that can be read here: "
                                          f"send one as {', '.join(SOUND_FORMATS)}")
    library = _soundfile()
    try:
        with library.SoundFile(io.BytesIO(data)) as file:
            _check_sound(file)
            blocks = list(resampled(_mono_blocks(file), file.samplerate, rate))
    except (library.SoundFileError, ValueError, OSError) as e:
        why = getattr(e, "error_string", e)
        raise Refused("invalid_request", f"the sound is damaged or cut short ({why}): send it again") from e
    samples = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
    if not samples.size:
        raise Refused("invalid_request", "the sound has no samples: send one that has")
    if not np.isfinite(samples).all():
        raise Refused("invalid_request", "the sound has samples that are no numbers: send it again")
    return samples


def wav(samples, rate):
    """Mono float32 [samples] as a WAV file of 16 bits."""
    samples = np.clip(np.rint(np.asarray(samples, np.float64) * 32767), -32768, 32767).astype("<i2").tobytes()
    head = b"WAVEfmt " + b"".join(n.to_bytes(size, "little") for n, size in
                                  ((16, 4), (1, 2), (1, 2), (rate, 4), (2 * rate, 4), (2, 2), (16, 2)))
    body = head + b"data" + len(samples).to_bytes(4, "little") + samples
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def resampled(blocks, rate, wanted):
    """Blocks of float32 at rate to blocks at wanted; of n samples come ceil(n * wanted / rate).

    Output j is at the input's time j * down / up (in lowest terms). For each block of `down` inputs there are `up`
    outputs, each the dot product of its own column of the kernel and the inputs around the block: a matrix product."""
    if rate == wanted:
        yield from blocks
        return
    shared = math.gcd(rate, wanted)
    up, down = wanted // shared, rate // shared
    kernel, half = _kernel(up, down)
    held, taken, made = np.zeros(half, np.float32), 0, 0
    for block in blocks:
        taken += block.size
        out, held = _convolved(np.concatenate([held, block]), kernel, half, down)
        made += out.size
        yield out
    out, _ = _convolved(np.concatenate([held, np.zeros(half + down, np.float32)]), kernel, half, down)
    yield out[:-(-taken * up // down) - made]


def _convolved(held, kernel, half, down):
    """(the outputs that held suffices for, what of it the next ones need)."""
    n = max((held.size - 2 * half) // down, 0)
    if n == 0:
        return np.empty(0, np.float32), held
    windows = torch.from_numpy(held).unfold(0, 2 * half + down, down)[:n]
    return (windows @ kernel).flatten().numpy(), held[n * down:]


@functools.lru_cache(maxsize=8)
def _kernel(up, down):
    """(float32 [half + down + half][up], half): column p makes output p of a block of inputs."""
    cut = _ROLLOFF * min(1.0, up / down)  # in the input's Nyquist frequencies
    reach = _CROSSINGS / cut  # in inputs
    half = math.ceil(reach)
    if up * (2 * half + down) > _KERNEL_MAX:
        raise Refused("unsupported_type", f"a sound cannot be brought from its rate to the model's here ({up}:{down}): "
                                          "send it at 16000, 44100 or 48000 samples a second")
    times = np.arange(up)[None, :] * down / up - np.arange(-half, half + down)[:, None]
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (times / reach) ** 2, 0, None))) / np.i0(_BETA)
    kernel = np.where(np.abs(times) <= reach, cut * np.sinc(cut * times) * window, 0)
    return torch.from_numpy(kernel.astype(np.float32)), half


def _mono_blocks(file):
    """Its channels averaged, block by block: float32 [samples]. It may be longer than its header says."""
    most = SOUND_SECONDS_MAX * file.samplerate
    while (block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)).size:
        most -= len(block)
        if most < 0:
            raise _too_long()
        yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)


def _check_sound(file):
    if not SOUND_RATE_MIN <= file.samplerate <= SOUND_RATE_MAX:
        raise Refused("unsupported_type", f"the sound has {file.samplerate} samples a second; what can be read here is "
                                          f"{SOUND_RATE_MIN} to {SOUND_RATE_MAX}")
    if file.channels > SOUND_CHANNELS_MAX:
        raise Refused("unsupported_type", f"the sound has {file.channels} channels; the limit is {SOUND_CHANNELS_MAX}")
    if file.frames >= _FRAMES_UNKNOWN:  # the library cannot read on from where it is without that
        raise Refused("unsupported_type", "the sound does not say how long it is, as FLAC written to a pipe does not: "
                                          "send it as WAV, or written to a file")
    if file.frames > SOUND_SECONDS_MAX * file.samplerate:
        raise _too_long()


def _too_long():
    return Refused("too_large", f"the sound is longer than {SOUND_SECONDS_MAX} seconds: send it in pieces")


def _known_sound(head):
    return (head[:4] in (b"fLaC", b"OggS") or head[:4] == b"RIFF" and head[8:12] == b"WAVE" or head[:3] == b"ID3"
            or len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2)  # an MPEG frame of layer III


@functools.cache
def _soundfile():
    """The library. Without libsndfile in its wheel, importing it would start programs to look for one."""
    try:
        import _soundfile_data  # noqa: F401
        import soundfile
    except (ImportError, OSError) as e:
        raise Refused("unsupported_type", "the package soundfile is missing here, so no sound can be read: "
                                          "berth backend install transformers") from e
    return soundfile


# ---- both ----


def _checked_bytes(data, what, most):
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise Refused("invalid_request", f"the {what} should be bytes: neither a path nor an address is followed")
    if len(data) > most:
        raise Refused("too_large", f"the {what} has {len(data)} bytes; the limit is {most}")
    return data
