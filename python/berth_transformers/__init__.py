"""berth's second kind of inference server: one model, loaded by the Transformers library, behind berth's frames.

Started by berthd through `berth-worker --launch`; speaks on descriptor 3. The map of the package:

    __main__.py   python -m berth_transformers [--about]
    frames.py     bytes to frames and back: the table of src/ipc/frame.h, strict CBOR
    parts.py      parts of items in and out of frames, memfds included
    channel.py    frames over the socketpair, and the descriptors that come with them
    ledger.py     the jobs that were taken: each item answered once, credit given back
    serve.py      the process's life: HELLO, LOAD, JOB, PING, CANCEL, CREDIT, DRAIN
    sandbox.py    narrows what may be read to one model (Landlock)
    devices.py    cpu, cuda, xla: what is there, what was asked for, memory
    checkpoint.py a model's folder as its files tell it: tags, weights and their bytes; pickles refused
    choosing.py   which task a model is loaded for, by which class, and what else that class does
    loading.py    a folder to a Model, in phases
    errors.py     what libraries raise, as codes and sentences
    jobs.py       Job, Item, Part, Refused: what the tasks see of frames
    generate_parameters.py  what a request may tell generate()
    params.py     a task's parameters, checked: unknown ones and wrong kinds are refused by name
    batching.py   which waiting items run together
    compute.py    the thread that computes: batches and generation in turn, cancel, progress
    generation.py streams that join and leave between steps
    stream.py     one of them: what is wanted of it, what it has said
    lanes.py      their keys and values, side by side: one forward for all
    sampling.py   from logits to the next token, as generate() chooses it
    text_stream.py  ids to text as they come: whole characters, stop texts
    chat_template.py  the model's own template, bounded in time and output
    media.py      images and sound from bytes, within limits
    tasks/        one file per task, and the table of them
"""

__version__ = "0.1.0"
