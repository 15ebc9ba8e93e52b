"""Which task a model is loaded for, by which class of transformers, and which other tasks that class can do."""
from . import checkpoint
from .jobs import Refused
from .tasks import TABLE, task_class

# What the Hub calls a model for, where berth's default task has another name.
_TAGS = {"sentence-similarity": "feature-extraction", "text-ranking": "text-classification", "conversational": "chat"}


def auto_classes(task):
    """A task's auto classes, as names, best first."""
    auto = task_class(task).auto
    return (auto,) if isinstance(auto, str) else tuple(auto)


def class_names(auto, model_type):
    """The names of the model classes that an auto class of transformers loads a model_type with; () for none."""
    import transformers
    mapping = getattr(transformers, auto)._model_mapping._model_mapping
    names = mapping.get(model_type, ())
    return (names,) if isinstance(names, str) else tuple(names)


def auto_class(task, config):
    """The name of the auto class that loads this model for the task: the one that knows the class which config.json
    names, else the first that knows the model's type; None where none does."""
    known = [a for a in auto_classes(task) if class_names(a, config.model_type)]
    named = [a for a in known if set(class_names(a, config.model_type)) & set(config.architectures or ())]
    return (named or known or [None])[0]


def _names_architecture(task, config):
    auto = auto_class(task, config)
    return auto and bool(set(class_names(auto, config.model_type)) & set(config.architectures or ()))


def _provided(task, folder):
    """Whether the folder has what the task's class needs beside the model."""
    needs = task_class(task).needs
    if "tokenizer" in needs and not (checkpoint.has_tokenizer(folder) or checkpoint.gguf_file(folder)):
        return False
    return not set(needs) - {"tokenizer"} or checkpoint.has_preprocessor(folder)


def default_task(folder, config, wanted):
    """The task to load for: the wanted one, else what README.md says where the weights have it, else what config.json's
    architectures are for."""
    if wanted:
        if wanted not in TABLE:
            raise Refused("unsupported_task", f"there is no task '{wanted}'; docs/backends.md lists those there are")
        if not auto_class(wanted, config):
            raise Refused("unsupported_task", f"a model of the type {config.model_type} cannot do {wanted}")
        return wanted
    tag = checkpoint.pipeline_tag(folder)
    tag = _TAGS.get(tag, tag)
    if tag in TABLE and auto_class(tag, config) and (_names_architecture(tag, config) or
                                                     auto_class(tag, config) == "AutoModel"):
        return tag
    fitting = [t for t in TABLE if _names_architecture(t, config)]
    fitting = [t for t in fitting if _provided(t, folder)] or fitting
    if fitting:
        return fitting[0]
    pretrained = any(a.endswith("ForPreTraining") for a in config.architectures or ())
    for task in ("fill-mask",) * pretrained + ("feature-extraction",):
        if task in TABLE and auto_class(task, config) and _provided(task, folder):
            return task
    named = ", ".join(config.architectures or ()) or config.model_type
    raise Refused("unsupported_task", f"no task is known for {named}; name one when loading")


def served_tasks(model, task, auto):
    """The loaded task first, then every other that the same class serves (or any: auto is empty) and that the model
    suits."""
    also = [t for t in TABLE if t != task and auto in (auto_classes(t) or (auto,)) and _has(model, t)]
    return [task, *(t for t in also if task_class(t).suits(model))]


def _has(model, task):
    return all(getattr(model, need) is not None for need in task_class(task).needs)
