"""Holds statements of identity policies against AWS's service authorization data, as parliament carries it.

Standard input: a JSON list of statements: where, actions, resources, conditions (operator -> key -> values). Standard output:
a line for each action, resource or condition key that IAM does not know for that action, the statement's number, a tab and a
text; then "N statements, M actions".
"""

import importlib.util
import json
import pathlib
import re
import sys

DATA = pathlib.Path(importlib.util.find_spec("parliament").origin).parent / "iam_definition.json"

# Keys that IAM has in every request or that the caller's session brings: "Available keys for the global condition context".
# Those about tags are not among them, because each action says whether it has them.
GLOBAL = {
    "aws:currenttime", "aws:epochtime", "aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:requestedregion",
    "aws:resourceaccount", "aws:resourceorgid", "aws:securetransport", "aws:sourceaccount", "aws:sourcearn", "aws:sourceip",
    "aws:sourcevpc", "aws:sourcevpce", "aws:viaawsservice",
}
# Which operators a type of key takes.
OPERATORS = {
    "String": r"String(Not)?(Equals|Like)(IgnoreCase)?", "ARN": r"Arn(Not)?(Equals|Like)", "Bool": r"Bool|StringEquals|StringNotEquals",
    "Numeric": r"Numeric\w+", "Date": r"Date\w+",
}


def pattern(text):
    """Makes a pattern of an ARN's or a key's form: ${Name} is anything."""
    return re.sub(r"\\\$\\\{[^}]*\\\}", ".+", re.escape(text))


def meet(a, b):
    """Reports whether some text fits both a and b, in which * stands for anything."""
    ends = {(0, 0)}  # places in a and b that one text may have reached
    todo = [(0, 0)]
    while todo:
        i, j = todo.pop()
        steps = []
        if i < len(a) and a[i] == "*":
            steps += [(i + 1, j)] + ([(i, j + 1)] if j < len(b) else [])
        if j < len(b) and b[j] == "*":
            steps += [(i, j + 1)] + ([(i + 1, j)] if i < len(a) else [])
        if i < len(a) and j < len(b) and a[i] == b[j]:
            steps.append((i + 1, j + 1))
        for step in steps:
            if step not in ends:
                ends.add(step)
                todo.append(step)
    return (len(a), len(b)) in ends


class Definition:
    """The data, by service; a service of two pages, as API Gateway is, is one here."""

    def __init__(self):
        self.actions, self.resources, self.types = {}, {}, {}
        for page in json.loads(DATA.read_text()):
            prefix = page["prefix"]
            for action in page["privileges"]:
                rows = self.actions.setdefault(f"{prefix}:{action['privilege']}", [])
                rows += action["resource_types"]
            for resource in page["resources"]:
                self.resources[prefix, resource["resource"]] = resource
            for condition in page["conditions"]:
                self.types[condition["condition"]] = condition["type"]

    def judge(self, s):
        taken, known = set(), {}
        for name in s["actions"]:
            rows = self.actions.get(name)
            if rows is None:
                yield f"{s['where']}: there is no action {name}"
                continue
            prefix = name.partition(":")[0]
            types = [self.resources[prefix, row["resource_type"].rstrip("*")] for row in rows if row["resource_type"]]
            arns = [re.sub(r"\$\{[^}]*\}", "*", t["arn"]) for t in types]
            fits = {r for r in s["resources"] if r == "*" or any(meet(r, arn) for arn in arns)}
            taken |= fits
            if not fits:
                kinds = ", ".join(sorted({t["resource"] for t in types})) or "* alone"
                yield f"{s['where']}: {name} takes none of {', '.join(s['resources'])}, but {kinds}"
            known[name] = {k for row in [*rows, *types] for k in row["condition_keys"]}
        yield from self.keys(s, known)
        for resource in sorted(set(s["resources"]) - taken):
            yield f"{s['where']}: no action takes {resource}"

    def keys(self, s, known):
        for operator, conditions in (s["conditions"] or {}).items():
            plain = re.sub(r"^(ForAllValues|ForAnyValue):|IfExists$", "", operator)
            for key in conditions:
                forms = {name: [k for k in keys if re.fullmatch(pattern(k), key, re.IGNORECASE)] for name, keys in known.items()}
                without = [name for name in forms if not forms[name]] if key.lower() not in GLOBAL else []
                # "...IfExists" is for statements some of whose actions have the key.
                if without and not (operator.endswith("IfExists") and len(without) < len(forms)):
                    yield f"{s['where']}: {', '.join(without)} has no condition key {key}"
                form = next((f[0] for f in forms.values() if f), None)
                if form is None or plain == "Null":
                    continue
                kind = self.types.get(form, "String")
                several = kind.startswith("ArrayOf")
                want = OPERATORS.get(kind.removeprefix("ArrayOf"))
                if want and not re.fullmatch(want, plain):
                    yield f"{s['where']}: {key} is of type {kind}; {operator} does not compare it"
                if several != operator.startswith("For"):
                    yield f"{s['where']}: {key} is of type {kind}; {operator} is not for it"


def main():
    definition, statements = Definition(), json.load(sys.stdin)
    for i, s in enumerate(statements):
        for wrong in definition.judge(s):
            print(i, wrong, sep="\t")
    print(f"{len(statements)} statements, {len({a for s in statements for a in s['actions']})} actions")


if __name__ == "__main__":
    main()
