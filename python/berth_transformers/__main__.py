"""python -m berth_transformers            serves one model on descriptor 3; started by berth-worker --launch
python -m berth_transformers --about    prints, as JSON, versions and the devices of this machine"""
import faulthandler
import gc
import json
import os
import signal
import sys

# Libraries that are slow to import, that no task needs, and without which Transformers goes on.
UNWANTED = ("scipy", "sklearn")
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",  # a folder is all there is
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",  # texts are read one at a time; no threads for it
    "GOMP_SPINCOUNT": "10000",  # torch's threads wait for each other awake for some 100 us, which is what lies between
    # two loops of one forward, then asleep: awake for ever they take the cores from others, asleep at once they are late
    "OPENBLAS_NUM_THREADS": "1",  # numpy's threads would start while importing, before the sandbox is narrowed
    "TORCHINDUCTOR_CACHE_DIR": "/",  # torch looks for a folder that it may write to; it has no use for it
}


def protect_output():
    """What a library prints goes to standard error, line by line, and never to another descriptor."""
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")


def heed_signals():
    """The terminal's signals are the daemon's business; a crash leaves a trace."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))  # until there is something to finish
    faulthandler.enable()


def import_all(threads):
    """Everything that loading a model would import, so that an interpreter which waits has it."""
    for name in UNWANTED:
        sys.modules[name] = None
    os.environ.update(ENVIRONMENT)
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    gc.disable()  # nothing of an import is garbage
    import torch
    import transformers
    import transformers.generation.utils
    import transformers.modeling_utils
    import transformers.models.bert.modeling_bert  # what most text models are, or resemble
    import transformers.models.llama.modeling_llama  # noqa: F401
    for name in ("AutoConfig", "AutoModel", "AutoTokenizer", "AutoProcessor"):
        getattr(transformers, name)
    from . import loading, tasks
    assert loading
    for task in tasks.TABLE:
        tasks.task_class(task)
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_interop_threads(1)
    gc.freeze()
    gc.enable()


def about():
    import torch
    import transformers

    from . import __version__, devices
    print(json.dumps({"berth": __version__, "python": ".".join(map(str, sys.version_info[:3])),
                      "torch": torch.__version__, "transformers": transformers.__version__,
                      "devices": devices.there()}))


def greet(channel):
    """The daemon's HELLO, or why there will be no talk."""
    from . import frames
    frame = channel.recv()
    if frame is None:
        sys.exit("berth: the daemon left before its HELLO")
    frame.close_fds()
    if frame.type != "HELLO":
        raise frames.BadFrame(f"{frame.type} before HELLO")
    version = frame.body["version"]
    if version != frames.VERSION:
        raise frames.BadFrame(f"the daemon speaks version {version} of the frames, this server version "
                              f"{frames.VERSION}: install both from one release")
    return frame.body


def main():
    if sys.argv[1:] == ["--about"]:
        about()
        return 0
    if sys.argv[1:]:
        sys.exit(__doc__)
    from . import frames
    from .channel import Channel
    try:
        channel = Channel.of_daemon()
    except OSError:
        sys.exit("berth: the Transformers server is started by berthd, with its end of a socketpair as descriptor 3")
    protect_output()
    heed_signals()
    try:
        hello = greet(channel)
    except frames.BadFrame as e:
        channel.send("LOG", {"level": "error", "text": str(e)})
        channel.send("ERROR", {"code": "invalid_request", "text": str(e)})
        return 1
    import_all(hello.get("threads", 0))
    from . import serve
    return serve.Server(channel, hello).serve()


def run():
    """main(), then the end at once: a thread that computes would make a crash of Python's own farewell."""
    status = main()
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    run()
