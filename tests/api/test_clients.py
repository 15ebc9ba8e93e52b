"""Clients as their makers publish them, unmodified, against MiniLM. Their versions are printed."""
import math

import huggingface_hub
import numpy as np
import openai
import pytest
from huggingface_hub import InferenceClient

from daemon import MINILM, Daemon
from test_fill_mask import NAME as DISTILBERT
from test_fill_mask import snapshot  # noqa: F401 a fixture

TEXTS = ["a cat sits on the mat", "a kitten rests on the rug", "the stock market fell", "", "é" * 50 + " 漢字 🙂"]
# float32 text is the shortest that reads back to the same value, base64 is the bytes: the same bits.


@pytest.fixture(scope="module")
def client(minilm):
    print(f"openai {openai.__version__}, huggingface_hub {huggingface_hub.__version__}, numpy {np.__version__}")
    return openai.OpenAI(base_url=minilm.base + "/v1", api_key="none", max_retries=0)


def test_openai_embeddings_in_both_formats_are_the_same_bits(client):
    packed = client.embeddings.create(model=MINILM, input=TEXTS)  # base64 underneath
    plain = client.embeddings.create(model=MINILM, input=TEXTS, encoding_format="float")
    assert packed.model == MINILM and packed.object == "list"
    assert [d.index for d in packed.data] == list(range(len(TEXTS)))
    for a, b in zip(packed.data, plain.data):
        assert len(a.embedding) == 384 and abs(math.fsum(x * x for x in a.embedding) - 1) < 1e-5  # 384 roundings of f32
        assert np.array_equal(np.float32(a.embedding), np.float32(b.embedding))
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > len(TEXTS) * 2


def test_openai_takes_token_ids(client):
    text = client.embeddings.create(model=MINILM, input="hello world")
    ids = [101, 7592, 2088, 102]  # [CLS] hello world [SEP]
    one = client.embeddings.create(model=MINILM, input=ids)
    many = client.embeddings.create(model=MINILM, input=[ids, ids])
    assert one.data[0].embedding == text.data[0].embedding
    assert [d.embedding for d in many.data] == [text.data[0].embedding] * 2
    assert one.usage.prompt_tokens == 4


def test_openai_models(client):
    assert MINILM in [m.id for m in client.models.list()]
    assert client.models.retrieve(MINILM).owned_by == "sentence-transformers"
    with pytest.raises(openai.NotFoundError) as e:
        client.models.retrieve("no/such-model")
    assert e.value.code == "model_not_found" and "berth pull no/such-model" in e.value.message


def test_openai_errors_are_typed(client):
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="no/such-model", input="x")
    with pytest.raises(openai.UnprocessableEntityError) as e:
        client.embeddings.create(model=MINILM, input="x", dimensions=64)
    assert "dimensions" in e.value.message
    for bad in ([], [[]], [1.5], [-1], ["a", None], {"a": 1}, [[1], ["x"]]):
        with pytest.raises(openai.BadRequestError):
            client.embeddings.create(model=MINILM, input=bad)
    with pytest.raises(openai.BadRequestError) as e:
        client.embeddings.create(model=MINILM, input=[101, 999999, 102])
    assert "999999" in e.value.message


def test_openai_refuses_what_is_too_long_unless_told_to_cut(client):
    long = "word " * 600
    with pytest.raises(openai.BadRequestError) as e:
        client.embeddings.create(model=MINILM, input=["short", long])
    assert e.value.code == "input_too_long" and "256" in e.value.message and "input 1" in e.value.message
    cut = client.embeddings.with_raw_response.create(model=MINILM, input=["short", long], extra_body={"truncate": True})
    assert cut.headers["x-berth-truncated"] == "1"
    assert cut.parse().usage.prompt_tokens == 256 + 3
    whole = client.embeddings.with_raw_response.create(model=MINILM, input="short")
    assert "x-berth-truncated" not in whole.headers
    assert whole.headers["x-berth-backend"].startswith("native/")


def test_openai_answers_of_any_size(client):
    """Past 64 KiB an answer is written while it is sent."""
    for n in (1, 8, 9, 40, 2000):
        answer = client.embeddings.create(model=MINILM, input=[f"text {i % 7}" for i in range(n)], encoding_format="float")
        assert [d.index for d in answer.data] == list(range(n))
        assert all(a.embedding == answer.data[i % 7].embedding for i, a in enumerate(answer.data))


# ---- huggingface_hub ----

@pytest.fixture(scope="module")
def hf(minilm):
    return InferenceClient(provider="hf-inference", model=f"{minilm.base}/models/{MINILM}")


def test_feature_extraction_is_what_openai_answers(hf, client):
    want = np.float32([d.embedding for d in client.embeddings.create(model=MINILM, input=TEXTS).data])
    assert np.array_equal(hf.feature_extraction(TEXTS), want)
    one = hf.feature_extraction(TEXTS[0])
    assert one.dtype == np.float32 and np.array_equal(one, want[0])
    by_task = InferenceClient(f"{hf.model}/pipeline/feature-extraction").feature_extraction(TEXTS[0])
    assert np.array_equal(by_task, want[0])


def test_feature_extraction_has_its_parameters_at_the_root(hf):
    plain = hf.feature_extraction("hello")
    assert np.array_equal(hf.feature_extraction("hello", normalize=True), plain)
    raw = hf.feature_extraction("hello", normalize=False)
    assert np.allclose(raw / np.linalg.norm(raw), plain, atol=1e-6)  # two roundings apart
    long = "word " * 600
    assert np.array_equal(hf.feature_extraction(long), hf.feature_extraction(long, truncate=True))
    left = hf.feature_extraction("start " + long, truncate=True, truncation_direction="left")
    assert np.array_equal(left, hf.feature_extraction(long))
    with pytest.raises(huggingface_hub.errors.HfHubHTTPError) as e:
        hf.feature_extraction(long, truncate=False)
    assert e.value.response.status_code == 422 and "256" in str(e.value)
    with pytest.raises(huggingface_hub.errors.HfHubHTTPError) as e:
        hf.feature_extraction("x", prompt_name="no such prompt")
    assert "no such prompt" in str(e.value)


def test_sentence_similarity_is_the_cosine(hf):
    vectors = hf.feature_extraction(TEXTS[:3])
    scores = hf.sentence_similarity(TEXTS[0], TEXTS[1:3])
    assert np.allclose(scores, vectors[1:] @ vectors[0], atol=1e-6)  # sums of 384 products in another order
    assert scores[0] > scores[1]
    many = hf.sentence_similarity(TEXTS[0], [TEXTS[1 + i % 2] for i in range(200)])
    assert len(many) == 200 and np.allclose(many, scores * 100, atol=1e-6)


def test_the_endpoint_says_what_it_is(hf):
    info = hf.get_endpoint_info()
    assert info["model_id"] == MINILM and info["max_input_length"] == 256
    assert hf.health_check() is True


def test_fill_mask_is_a_list_of_candidates(tmp_path, snapshot):  # noqa: F811
    with Daemon(tmp_path) as d:
        d.add(DISTILBERT, snapshot)
        hf = InferenceClient(f"{d.base}/models/{DISTILBERT}")  # the first use loads it
        found = hf.fill_mask("the [MASK] sat on the mat.", top_k=3)
        assert len(found) == 3 and found[0].score >= found[1].score >= found[2].score
        assert all(isinstance(f.token, int) for f in found)
        some = hf.fill_mask("the [MASK] sat on the mat.", targets=["cat", "dog"])
        assert {f.token_str for f in some} == {"cat", "dog"}
        two = d.post(f"/models/{DISTILBERT}", inputs="the [MASK] sat on the [MASK].")
        assert [len(mask) for mask in two] == [5, 5]
        texts = d.post(f"/models/{DISTILBERT}", inputs=["a [MASK].", "the [MASK]."], parameters={"top_k": 2})
        assert [len(t) for t in texts] == [2, 2]
        with pytest.raises(huggingface_hub.errors.HfHubHTTPError) as e:
            hf.fill_mask("there is none")
        assert "mask" in str(e.value).lower()


def test_the_root_is_the_default_model(minilm, hf):
    assert np.array_equal(np.float32(minilm.post("/", inputs="hello")), hf.feature_extraction("hello"))
