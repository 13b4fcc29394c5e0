"""What AWS's service models say of a value. Each script of this folder runs behind this one.

The models are those that AWS publishes with botocore.
"""

import base64
import binascii
import json
import re
import sys

from botocore.loaders import Loader
from botocore.model import ServiceModel

# Names under which a model knows a service.
MODELS = {"eventbridge": "events"}


class Models:
    """The service models, each read once."""

    def __init__(self):
        self.loader, self.known = Loader(), {}

    def of(self, service):
        name = MODELS.get(service, service)
        if name not in self.known:
            self.known[name] = ServiceModel(self.loader.load_service_model(name, "service-2"), name)
        return self.known[name]


class Judge:
    """Walks a value along its shape and notes what the shape does not allow."""

    def __init__(self, where, answer=False):
        self.where, self.answer, self.found = where, answer, []

    def wrong(self, path, text):
        self.found.append(f"{self.where}{path}: {text}")

    def value(self, shape, v, path=""):
        getattr(self, shape.type_name, self.unknown)(shape, v, path)

    def unknown(self, shape, v, path):
        self.wrong(path, f"a {shape.type_name} cannot be judged")

    def structure(self, shape, v, path):
        if not isinstance(v, dict):
            return self.wrong(path, f"{type(v).__name__}, want a structure ({shape.name})")
        names = {by_name(member, name): name for name, member in shape.members.items()}
        for key, inner in v.items():
            if key not in names:
                self.wrong(path, f"{shape.name} has no member {key}")
            elif inner is not None:
                self.value(shape.members[names[key]], inner, f"{path}.{key}")
        given = {names[key] for key, inner in v.items() if key in names and inner is not None}
        for name in shape.required_members:
            if name not in given:
                self.wrong(path, f"{shape.name} lacks {name}")
        # The model of DynamoDB calls AttributeValue a structure; its reference, a union.
        if (getattr(shape, "is_tagged_union", False) or shape.name == "AttributeValue") and len(given) != 1:
            self.wrong(path, f"{shape.name} has {len(given)} members, want one")

    def list(self, shape, v, path):
        if not isinstance(v, list):
            return self.wrong(path, f"{type(v).__name__}, want a list ({shape.name})")
        self.bounds(shape, len(v), path, "elements")
        for i, inner in enumerate(v):
            self.value(shape.member, inner, f"{path}[{i}]")

    def map(self, shape, v, path):
        if not isinstance(v, dict):
            return self.wrong(path, f"{type(v).__name__}, want a map ({shape.name})")
        self.bounds(shape, len(v), path, "entries")
        for key, inner in v.items():
            self.value(shape.key, key, f"{path}.key({key})")
            self.value(shape.value, inner, f"{path}.{key}")

    def string(self, shape, v, path):
        if not isinstance(v, str):
            return self.wrong(path, f"{type(v).__name__}, want a string ({shape.name})")
        if shape.enum and v not in shape.enum:
            self.wrong(path, f"{v!r} is not one of {shape.name}: {', '.join(shape.enum)[:200]}")
        self.bounds(shape, len(v), path, "characters")
        pattern = shape.metadata.get("pattern")
        if pattern:
            try:
                fits = re.fullmatch(java(pattern), v, re.DOTALL)
            except re.error:
                return self.wrong(path, f"the pattern of {shape.name} cannot be read: {pattern}")
            if not fits:
                self.wrong(path, f"{v[:120]!r} does not match {shape.name}: {pattern}")

    def blob(self, shape, v, path):
        if isinstance(v, str):
            try:
                v = base64.b64decode(v, validate=True)
            except binascii.Error:
                return self.wrong(path, f"not base64 ({shape.name})")
        if not isinstance(v, bytes):
            return self.wrong(path, f"{type(v).__name__}, want base64 ({shape.name})")
        self.bounds(shape, len(v), path, "octets")

    def boolean(self, shape, v, path):
        if not isinstance(v, bool) and v not in ("true", "false"):
            self.wrong(path, f"{v!r} is no boolean ({shape.name})")

    def number(self, shape, v, path):
        if isinstance(v, str):
            try:
                v = float(v)
            except ValueError:
                pass
        if isinstance(v, bool) or not isinstance(v, (int, float)):
            return self.wrong(path, f"{v!r} is no number ({shape.name})")
        if shape.type_name in ("integer", "long") and v != int(v):
            self.wrong(path, f"{v!r} is no {shape.type_name} ({shape.name})")
        self.bounds(shape, v, path, "")

    integer = long = float = double = number

    def timestamp(self, shape, v, path):
        if isinstance(v, bool) or not isinstance(v, (int, float)) and not re.match(r"\d{4}-\d\d-\d\dT|\w{3}, \d\d \w{3} \d{4} ", str(v)):
            self.wrong(path, f"{v!r} is no timestamp ({shape.name})")

    def bounds(self, shape, n, path, unit):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if self.answer and n == 0 and shape.type_name in ("list", "map"):
            return  # services answer empty ones where the model has at least one element
        if low is not None and n < low or high is not None and n > high:
            self.wrong(path, f"{n} {unit}, want {low} to {high} ({shape.name})".replace("  ", " "))


def java(pattern):
    """Writes a pattern of Java's, which the models have, for Python."""
    for name, characters in {
        "Alnum": "a-zA-Z0-9", "Alpha": "a-zA-Z", "Digit": "0-9", "L": r"^\W\d_", "M": "\u0300-\u036f", "Z": r"\s", "N": r"\d",
        "S": r"^\w\s", "P": r"^\w\s", "IsAlphabetic": r"^\W\d_", "IsLetter": r"^\W\d_", "IsDigit": r"\d",
    }.items():
        inner = characters if characters[0] != "^" else r"\w" if name in ("L", "IsAlphabetic", "IsLetter") else r"\W"
        pattern = pattern.replace(r"\p{%s}" % name, inner if in_class(pattern, r"\p{%s}" % name) else f"[{characters}]")
    return pattern


def in_class(pattern, part):
    at = pattern.find(part)
    return pattern.count("[", 0, max(at, 0)) > pattern.count("]", 0, max(at, 0))


def by_name(member, name):
    return member.serialization.get("name", name)
