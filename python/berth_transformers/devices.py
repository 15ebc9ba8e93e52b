"""Devices: what is there, which one was asked for, and how much of its memory may be used.

A Placement is all that the rest of the server knows of a device. The table below holds one maker for each kind, so
that tests can put torch's "meta" device, or a stand-in for torch.cuda, in the place of hardware.
"""
from .jobs import Refused

KINDS = ("cpu", "cuda", "xla")


class Placement:
    """Where a model computes. device: torch's; name: as READY and status say it."""
    # Padded tokens of a batch, beyond which more cost as much as a batch of their own. all-MiniLM-L6-v2 on a core of
    # Zen 4: 0.44 ms of its time a token one at a time, 0.32 at 512, 0.31 at 2048, 0.30 at 4096.
    batch_tokens = 2048

    def __init__(self, name, device):
        self.name, self.device = name, device

    def reserve(self, need_bytes, limit_bytes):
        """Before weights are read: need_bytes of them will be. limit_bytes: what may be used in all, 0 = no limit."""

    def used(self):
        """Bytes in use on the device; 0 where that is the process's own memory."""
        return 0

    def all(self):
        """Bytes of the whole device; 0 where that is the host's memory, or not known."""
        return 0

    def step(self):
        """After a forward: a device that only collects work begins it now."""


class CudaPlacement(Placement):
    """module: torch.cuda, or a stand-in for it."""
    batch_tokens = 16384  # enough to fill a card; not measured on one

    def __init__(self, index, device, module):
        super().__init__(f"cuda:{index}", device)
        self.index, self.module = index, module

    def reserve(self, need_bytes, limit_bytes):
        free, total = self.module.mem_get_info(self.index)
        allowed = min(free, limit_bytes) if limit_bytes else free
        if need_bytes > allowed:
            raise Refused("insufficient_memory", f"the weights take {need_bytes >> 20} MiB on {self.name}, "
                          f"{allowed >> 20} MiB of it are free for them")
        if limit_bytes:
            self.module.set_per_process_memory_fraction(min(1.0, limit_bytes / total), self.index)

    def used(self):
        return self.module.memory_reserved(self.index)

    def all(self):
        return self.module.mem_get_info(self.index)[1]


class XlaPlacement(Placement):
    """xla: the package torch_xla, or a stand-in for it."""
    batch_tokens = 16384  # as above

    def __init__(self, xla):
        super().__init__("xla", xla.device())
        self.xla = xla

    def step(self):
        self.xla.sync()


def _cuda():
    import torch
    return torch.cuda if torch.cuda.is_available() else None


def _xla():
    try:
        import torch_xla
        torch_xla.device()
        return torch_xla
    except Exception:  # not installed, or no device behind it: the same to whoever asks
        return None


def there(cuda=_cuda, xla=_xla):
    """The names of the devices of this machine."""
    module = cuda()
    gpus = [f"cuda:{i}" for i in range(module.device_count())] if module else []
    return ["cpu", *gpus, *(["xla"] if xla() else [])]


def choose(name, cuda=_cuda, xla=_xla):
    """A Placement for "auto", "cpu", "cuda", "cuda:N" or "xla"; Refused names what there is."""
    import torch
    kind, _, number = name.partition(":")
    have = there(cuda, xla)
    if kind == "auto" and not number:
        kind = have[1].partition(":")[0] if len(have) > 1 else "cpu"
    if kind not in KINDS or (number and (kind != "cuda" or not number.isdecimal())):
        raise Refused("unsupported_option", f"there is no device '{name}'; this machine has: {', '.join(have)}")
    wanted = f"cuda:{int(number or 0)}" if kind == "cuda" else kind
    if wanted not in have:
        raise Refused("unsupported_option", f"the device {wanted} is not there; this machine has: {', '.join(have)}")
    if kind == "cuda":
        return CudaPlacement(int(number or 0), torch.device(wanted), cuda())
    return XlaPlacement(xla()) if kind == "xla" else Placement("cpu", torch.device("cpu"))
