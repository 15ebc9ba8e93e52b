"""A task's parameters, checked: an unknown one, or one of another kind, is refused by name."""
from .jobs import Refused

UINT_MAX = 2**63 - 1  # as libraries in C take it
_KINDS = {"bool": bool, "text": str, "uint": int, "int": int, "float": (int, float), "list": list, "map": dict}


def read(job, table):
    """The job's parameters as a dict. table: name to kind ("bool", "uint", "int", "float", "text", "texts", "list",
    "map"), or to a tuple of the texts that are allowed. None is as good as absent."""
    known = {}
    for name, value in job.params.items():
        if name not in table:
            raise Refused("unsupported_option", f"{job.task} has no parameter '{name}'; it has {', '.join(table) or 'none'}")
        if value is not None:
            known[name] = _checked(name, value, table[name])
    return known


def _checked(name, value, kind):
    if isinstance(kind, tuple):
        if value not in kind:
            raise Refused("invalid_request", f"'{name}' should be one of {', '.join(kind)}")
        return value
    if kind == "texts":
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise Refused("invalid_request", f"'{name}' should be a text or a list of texts")
        return value
    right = isinstance(value, _KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))
    if not right or (kind == "uint" and not 0 <= value <= UINT_MAX):
        said = {"uint": "a whole number from 0 to 2^63 - 1", "int": "a whole number", "float": "a number", "text": "a text",
                "bool": "true or false", "list": "a list", "map": "an object"}[kind]
        raise Refused("invalid_request", f"'{name}' should be {said}")
    return float(value) if kind == "float" else value
