"""What a request may tell generate(): numbers and flags of GenerationConfig within bounds, and nothing else that it takes,
which could name files, run code, bring in other models, or change what it returns. Any thread."""
from .jobs import Refused

NEW_TOKENS_MAX = 4096  # that a request may ask for
BEAMS_MAX = 16

# Parameter to (least, most), or bool.
PARAMETERS = {
    "max_length": (1, NEW_TOKENS_MAX), "max_new_tokens": (1, NEW_TOKENS_MAX), "min_length": (0, NEW_TOKENS_MAX),
    "min_new_tokens": (0, NEW_TOKENS_MAX), "num_beams": (1, BEAMS_MAX), "top_k": (0, 10**6), "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0), "typical_p": (1e-3, 1.0), "epsilon_cutoff": (0.0, 1.0), "eta_cutoff": (0.0, 1.0),
    "temperature": (1e-3, 100.0), "repetition_penalty": (1e-3, 100.0), "length_penalty": (-10.0, 10.0),
    "no_repeat_ngram_size": (0, 1000), "do_sample": bool, "early_stopping": bool, "renormalize_logits": bool,
    "remove_invalid_values": bool, "use_cache": bool,
}
LENGTHS = ("max_length", "max_new_tokens", "min_length", "min_new_tokens")


def checked(given, table=PARAMETERS):
    """A copy of a map of parameters; None is as good as absent."""
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        if name not in table:
            raise Refused("unsupported_option", f"generate() may not be told '{name[:100]}' here; it may be told "
                          f"{', '.join(table)}")
        rule = table[name]
        if rule is bool:
            if not isinstance(value, bool):
                raise Refused("invalid_request", f"'{name}' should be true or false")
            continue
        whole = isinstance(rule[0], int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) \
                or not rule[0] <= value <= rule[1]:
            raise Refused("invalid_request", f"'{name}' should be a {'whole ' if whole else ''}number from {rule[0]} "
                          f"to {rule[1]}")
    return given


def fitting(lengths, positions):
    """Lengths of LENGTHS, as a map, cut to a decoder with so many positions; 0: it has no end."""
    return {name: min(lengths[name], positions - 1) if positions else lengths[name]
            for name in LENGTHS if lengths.get(name)}
