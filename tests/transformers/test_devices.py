"""Placement, where there is no accelerator: torch's "meta" device stands for one that holds no numbers, and a class
below stands for torch.cuda and for torch_xla. Nothing here has run on a GPU or a TPU."""
import pytest
import torch

from berth_transformers import devices, loading
from berth_transformers.jobs import Refused

GIB = 1 << 30


class StandInCuda:
    """What devices.py calls of torch.cuda, for two cards of 8 GiB with 6 GiB free."""

    def __init__(self):
        self.fractions = {}

    def device_count(self):
        return 2

    def mem_get_info(self, index):
        return 6 * GIB, 8 * GIB

    def set_per_process_memory_fraction(self, fraction, index):
        self.fractions[index] = fraction

    def memory_reserved(self, index):
        return 5 + index


class StandInXla:
    """What devices.py calls of torch_xla; its device is torch's meta device."""

    def __init__(self):
        self.steps = 0

    def device(self):
        return torch.device("meta")

    def sync(self):
        self.steps += 1


def nothing():
    return None


def test_what_is_there():
    assert devices.there(nothing, nothing) == ["cpu"]
    assert devices.there(StandInCuda, StandInXla) == ["cpu", "cuda:0", "cuda:1", "xla"]


@pytest.mark.parametrize("asked, name", [("cpu", "cpu"), ("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"),
                                         ("xla", "xla")])
def test_the_device_that_was_asked_for(asked, name):
    assert devices.choose(asked, StandInCuda, StandInXla).name == name


def test_a_card_says_how_much_it_has():
    assert devices.choose("cuda:1", StandInCuda, StandInXla).all() == 8 * GIB
    assert devices.choose("cpu", nothing, nothing).all() == 0


def test_auto_without_an_accelerator_is_the_cpu():
    placement = devices.choose("auto", nothing, nothing)
    assert placement.name == "cpu" and placement.device == torch.device("cpu") and placement.used() == 0
    assert devices.choose("auto", nothing, StandInXla).name == "xla"


@pytest.mark.parametrize("asked", ["cuda", "cuda:0", "xla", "tpu", "cuda:x", "cuda:-1", "cpu:1", "auto:1", "xla:0", ""])
def test_an_absent_device_names_what_is_there(asked):
    with pytest.raises(Refused) as e:
        devices.choose(asked, nothing, nothing)
    assert e.value.code == "unsupported_option" and e.value.sentence.endswith("this machine has: cpu")


def test_an_absent_card_names_the_others():
    with pytest.raises(Refused, match="cuda:2 is not there; this machine has: cpu, cuda:0, cuda:1"):
        devices.choose("cuda:2", StandInCuda, nothing)


def test_memory_is_reserved_on_the_card():
    cuda = StandInCuda()
    placement = devices.CudaPlacement(1, torch.device("meta"), cuda)
    placement.reserve(1 * GIB, 2 * GIB)
    assert cuda.fractions == {1: 0.25} and placement.used() == 6
    for need, limit in [(7 * GIB, 0), (3 * GIB, 2 * GIB)]:
        with pytest.raises(Refused) as e:
            placement.reserve(need, limit)
        assert e.value.code == "insufficient_memory" and "cuda:1" in e.value.sentence


def test_a_model_is_put_on_the_device(tiny_bert, monkeypatch):
    """On meta: every weight goes there and a forward runs through, without a number being computed."""
    cuda = StandInCuda()
    placement = devices.CudaPlacement(0, torch.device("meta"), cuda)
    monkeypatch.setattr(devices, "choose", lambda name: placement)
    model = loading.load(tiny_bert("BertForMaskedLM"), device="cuda", memory=GIB)
    assert {p.device.type for p in model.model.parameters()} == {"meta"} and model.device.type == "meta"
    assert cuda.fractions == {0: 0.125}
    ids = torch.zeros(2, 5, dtype=torch.int64, device=model.device)
    assert model.model(input_ids=ids).logits.shape == (2, 5, 31)


def test_an_xla_device_is_told_of_each_step():
    xla = StandInXla()
    placement = devices.XlaPlacement(xla)
    placement.step()
    assert xla.steps == 1 and placement.device == torch.device("meta")
