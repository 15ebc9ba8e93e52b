"""POST /v1/audio/transcriptions with the openai client, unmodified; the inference server is a stand-in."""
import openai
import pytest

from standin import standin

WAV = b"RIFF$\x00\x00\x00WAVEfmt " + bytes(range(256)) * 300
SEGMENTS = [{"text": " hello there", "timestamp": [0.0, 1.5]}, {"text": " and goodbye", "timestamp": [61.25, None]}]
WORDS = [{"text": " hello", "timestamp": [0.0, 0.5]}, {"text": " there", "timestamp": [0.5, 1.0]}]
TASK = "automatic-speech-recognition"
# The model's answer does not depend on what was asked, so each kind has its own.
ANSWERS = {TASK: {"result": {"text": " hello there and goodbye", "chunks": SEGMENTS}},
           "words": {"tasks": [TASK], "result": {"text": " hello there", "chunks": WORDS}}}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    print(f"openai {openai.__version__}")
    with standin(tmp_path_factory.mktemp("asr"), ANSWERS) as d:
        yield d


@pytest.fixture
def client(daemon):
    daemon.jobs()
    return openai.OpenAI(base_url=daemon.base + "/v1", api_key="none", max_retries=0)


def job(daemon):
    jobs = daemon.jobs()
    assert len(jobs) == 1 and jobs[0]["task"] == TASK
    [[part]] = jobs[0]["items"]
    assert part["k"] == "bytes" and part["d"] == WAV
    return jobs[0]["params"], part.get("media")


def test_json(daemon, client, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(WAV)
    with open(path, "rb") as f:
        found = client.audio.transcriptions.create(model=TASK, file=f)
    assert found.text == " hello there and goodbye"
    params, media = job(daemon)
    assert params == {} and media in ("audio/x-wav", "audio/wav", "audio/vnd.wave")
    raw = client.audio.transcriptions.with_raw_response.create(model=TASK, file=("a.bin", WAV), language="en",
                                                               temperature=0.5)
    assert raw.headers["x-berth-backend"].startswith("native/")
    params, media = job(daemon)
    assert params == {"language": "en", "generation_parameters": {"do_sample": True, "temperature": 0.5}} and media is None


def test_verbose_json_has_segments(daemon, client):
    found = client.audio.transcriptions.create(model=TASK, file=("a.wav", WAV), response_format="verbose_json",
                                               language="en")
    assert found.text == " hello there and goodbye" and found.language == "en" and found.duration == 61.25
    assert [(s.id, s.start, s.end, s.text) for s in found.segments] == [
        (0, 0.0, 1.5, " hello there"), (1, 61.25, 61.25, " and goodbye")]
    assert found.segments[0].avg_logprob is None  # which the model does not tell
    assert job(daemon)[0] == {"return_timestamps": True, "language": "en"}


def test_verbose_json_has_words(daemon, client):
    found = client.audio.transcriptions.create(model="words", file=("a.wav", WAV), response_format="verbose_json",
                                               timestamp_granularities=["word"])
    assert [(w.word, w.start, w.end) for w in found.words] == [(" hello", 0.0, 0.5), (" there", 0.5, 1.0)]
    assert found.segments is None


def test_text_and_subtitles(daemon, client):
    def ask(kind):
        return client.audio.transcriptions.create(model=TASK, file=("a.wav", WAV), response_format=kind)
    assert ask("text") == " hello there and goodbye\n"
    assert job(daemon)[0] == {}
    assert ask("srt") == ("1\n00:00:00,000 --> 00:00:01,500\nhello there\n\n"
                          "2\n00:01:01,250 --> 00:01:01,250\nand goodbye\n\n")
    assert job(daemon)[0] == {"return_timestamps": True}
    assert ask("vtt").startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nhello there\n\n")


def test_the_model_may_stand_in_the_path(daemon):
    client = openai.OpenAI(base_url=f"{daemon.base}/models/{TASK}/v1", api_key="none", max_retries=0)
    assert client.audio.transcriptions.create(model="whisper-1", file=("a.wav", WAV)).text


@pytest.mark.parametrize("more, words", [
    ({"response_format": "html"}, "response_format"), ({"temperature": 7}, "temperature"),
    ({"timestamp_granularities": ["word"]}, "verbose_json"), ({"timestamp_granularities": ["letter"]}, "'word'"),
    ({"file": ("a.wav", b"")}, "'file'")])
def test_what_is_wrong_is_said_by_name(client, more, words):
    with pytest.raises(openai.BadRequestError) as e:
        client.audio.transcriptions.create(**{"model": TASK, "file": ("a.wav", WAV)} | more)
    assert words in e.value.message


def test_what_cannot_be_done_is_refused(client):
    for more in ({"prompt": "Ada Lovelace"}, {"timestamp_granularities": ["word", "segment"],
                                              "response_format": "verbose_json"}):
        with pytest.raises(openai.UnprocessableEntityError):
            client.audio.transcriptions.create(model=TASK, file=("a.wav", WAV), **more)
    with pytest.raises(openai.NotFoundError):
        client.audio.transcriptions.create(model="no/such", file=("a.wav", WAV))


@pytest.mark.parametrize("kind, body, status", [
    ("application/json", b"{}", 415), ("multipart/form-data", b"--b--", 400),
    ("multipart/form-data; boundary=b", b"--b", 400), ("multipart/form-data; boundary=b", b"", 400),
    ("multipart/form-data; boundary=b", b"--b--", 400)])
def test_forms_that_are_none(daemon, kind, body, status):
    c = daemon.connect()
    c.request("POST", "/v1/audio/transcriptions", body, {"Content-Type": kind})
    answer = c.getresponse()
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/json")
    c.close()


def test_a_form_of_another_origin_is_refused(daemon):
    """A form needs no leave of the browser's to be sent: here the origin alone says no."""
    c = daemon.connect()
    c.request("POST", "/v1/audio/transcriptions", b"--b--",
              {"Content-Type": "multipart/form-data; boundary=b", "Origin": "https://example.com"})
    assert c.getresponse().status == 403
    c.close()


def test_a_form_may_come_in_pieces(daemon, client):
    """Wherever the network cuts it."""
    body = (b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + WAV[:300] +
            b'\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + TASK.encode() + b"\r\n--b--\r\n")
    c = daemon.connect()
    c.putrequest("POST", "/v1/audio/transcriptions")
    c.putheader("Content-Type", "multipart/form-data; boundary=b")
    c.putheader("Content-Length", str(len(body)))
    c.endheaders()
    for i in range(0, len(body), 7):
        c.send(body[i:i + 7])
    assert c.getresponse().status == 200
    c.close()
    [j] = daemon.jobs()
    assert j["items"][0][0]["d"] == WAV[:300]
