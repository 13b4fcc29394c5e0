"""Holds command lines of the AWS CLI, version 2, against the service models that AWS publishes with botocore.

Standard input: a JSON list of commands: where, words (what stands behind "aws"; U+FFFC stands for what only a run could
tell), and example: whether the command only names an operation or leaves options out. Standard output: a line for each thing that
the CLI or the service would refuse, the command's number, a tab and a text; then "N commands of M operations".
"""

import jmespath
from botocore import xform_name

UNKNOWN = "\ufffc"
# Options that every command has: "Global options" of the CLI's reference, as far as they take a value; None: they take none.
GLOBAL = {
    "region": None, "profile": None, "endpoint-url": None, "query": None, "ca-bundle": None, "cli-read-timeout": None,
    "cli-connect-timeout": None, "output": {"json", "text", "table", "yaml", "yaml-stream", "off"},
    "color": {"on", "off", "auto"}, "cli-binary-format": {"base64", "raw-in-base64-out"},
}
FLAGS = {"debug", "no-verify-ssl", "no-paginate", "no-sign-request", "no-cli-pager", "cli-auto-prompt", "no-cli-auto-prompt"}
PAGES = {"max-items", "page-size", "starting-token"}
# Commands of the CLI's own, which no model has: options, each with a pattern or the shape of a service's model.
OWN = {
    ("logs", "tail"): {
        "": "LogGroupName", "since": r"\d+[smhdw]|\d{4}-\d\d-\d\d(T\S+)?", "follow": None, "format": "detailed|short|json",
        "filter-pattern": "FilterPattern", "log-stream-names": "LogStreamName", "log-stream-name-prefix": "LogStreamName",
    },
}
# Names of the CLI for what a model calls otherwise.
SERVICES = {"s3api": "s3", "configservice": "config", "deploy": "codedeploy"}


class Value(Judge):
    """Judges values that may have unknown parts."""

    def string(self, shape, v, path):
        if not isinstance(v, str) or UNKNOWN not in v:
            super().string(shape, v, path)

    def number(self, shape, v, path):
        if v != UNKNOWN:
            super().number(shape, v, path)

    integer = long = float = double = number

    def blob(self, shape, v, path):
        if not v.startswith("fileb://") and UNKNOWN not in v:
            super().blob(shape, v, path)

    def timestamp(self, shape, v, path):
        if UNKNOWN not in v:
            super().timestamp(shape, v, path)


class Selected:
    """The list that a projection makes."""

    type_name = "list"

    def __init__(self, member):
        self.member = member


class Command:
    """One command line."""

    def __init__(self, models, c):
        self.models, self.words, self.example = models, c["words"], c["example"]
        self.j, self.named = Value(f"{c['where']}: aws {' '.join(c['words'][:2])}"), None

    def judge(self):
        if len(self.words) < 2:
            self.j.wrong("", "no operation")
            return self.j.found
        service, operation = self.words[:2]
        rest, options = self.words[2:], {}
        if operation == "wait" and rest:
            waiter, rest = rest[0], rest[1:]
        while rest and not rest[0].startswith("--"):
            options.setdefault("", []).append(rest.pop(0))
        while rest:
            name = rest.pop(0)[2:]
            if name in options:
                self.j.wrong("", f"--{name} twice")
            options[name] = []
            while rest and not rest[0].startswith("--"):
                options[name].append(rest.pop(0))
        if (service, operation) in OWN:
            self.named = (service, operation)
            self.own(service, OWN[service, operation], options)
            return self.j.found
        known = self.models.loader.list_available_services("service-2")
        if SERVICES.get(service, service) not in known or service in SERVICES.values():
            self.j.wrong("", "the CLI has no such service")
            return self.j.found
        model = self.models.of(SERVICES.get(service, service))
        if operation == "wait":
            waiters = self.models.loader.load_service_model(model.service_name, "waiters-2")["waiters"]
            found = {xform_name(name, "-"): w["operation"] for name, w in waiters.items()}.get(waiter)
        else:
            found = {xform_name(name, "-"): name for name in model.operation_names}.get(operation)
        if found is None:
            self.j.wrong("", "the service has no such operation")
            return self.j.found
        self.named = (service, found)
        self.modelled(model, model.operation_model(found), options)
        return self.j.found

    def modelled(self, model, operation, options):
        members = operation.input_shape.members if operation.input_shape else {}
        required = operation.input_shape.required_members if operation.input_shape else []
        names = {xform_name(name, "-"): name for name in members}
        pages = self.models.loader.list_available_services("paginators-1")
        paginated = model.service_name in pages and operation.name in self.models.loader.load_service_model(
            model.service_name, "paginators-1")["pagination"]
        for option, given in options.items():
            if option == "":
                self.j.wrong("", f"takes no {' '.join(given)}")
            elif option in names:
                self.value(members[names[option]], option, given)
            elif option.startswith("no-") and names.get(option[3:]) and members[names[option[3:]]].type_name == "boolean":
                self.count(option, given, 0)
            elif option in PAGES and paginated:
                self.count(option, given, 1)
            else:
                self.everywhere(option, given, operation.output_shape)
        for name in required:
            option = xform_name(name, "-")
            if not self.example and option not in options and "no-" + option not in options:
                self.j.wrong("", f"lacks --{option}")

    def own(self, service, known, options):
        if not self.example and "" in known and "" not in options:
            self.j.wrong("", f"lacks its {known['']}")
        for option, given in options.items():
            if option not in known:
                self.everywhere(option, given, None)
                continue
            want = known[option]
            if not self.count(option, given, 0 if want is None else 1) or want is None:
                continue
            shape = self.models.of(service).shape_for(want) if want.isalpha() and want[0].isupper() else None
            if shape is not None:
                self.j.value(shape, given[0], f" --{option}")
            elif UNKNOWN not in given[0] and not re.fullmatch(want, given[0]):
                self.j.wrong(f" --{option}", f"{given[0]!r}, want {want}")

    def count(self, option, given, want):
        if len(given) != want:
            self.j.wrong(f" --{option}", f"{len(given)} values, want {want}")
        return len(given) == want

    def everywhere(self, option, given, output):
        if option in FLAGS:
            self.count(option, given, 0)
        elif option not in GLOBAL:
            self.j.wrong("", f"has no --{option}")
        elif self.count(option, given, 1):
            among = GLOBAL[option]
            if among is not None and UNKNOWN not in given[0] and given[0] not in among:
                self.j.wrong(f" --{option}", f"{given[0]!r} is not one of {', '.join(sorted(among))}")
            if option == "query":
                self.query(given[0], output)

    def value(self, shape, option, given):
        path = f" --{option}"
        if shape.type_name == "boolean":
            self.count(option, given, 0)
        elif shape.type_name == "list":
            if not given:
                self.count(option, given, 1)
            elif given[0].startswith("["):
                self.json(shape, given[0], path)
            elif given != [UNKNOWN]:
                self.j.value(shape, [self.short(shape.member, v) for v in given], path)
        elif self.count(option, given, 1) and UNKNOWN != given[0] and not given[0].startswith("file://"):
            if given[0].startswith("{") and shape.type_name in ("structure", "map"):
                self.json(shape, given[0], path)
            else:
                self.j.value(shape, self.short(shape, given[0]), path)

    def json(self, shape, text, path):
        try:
            self.j.value(shape, json.loads(text), path)
        except ValueError:
            self.j.wrong(path, f"not JSON: {text[:80]!r}")

    def short(self, shape, text):
        """Reads the short form of a structure whose members are no structures: name=value,name=value."""
        if shape.type_name not in ("structure", "map"):
            return text
        return dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)

    def query(self, text, output):
        if UNKNOWN in text:
            return
        try:
            parsed = jmespath.compile(text).parsed
        except jmespath.exceptions.JMESPathError as e:
            self.j.wrong(" --query", str(e).splitlines()[0])
            return
        if output is not None:
            self.walk(parsed, output)

    def walk(self, node, shape):
        """Returns the shape of what a node of a query selects; None: it has no shape of the model."""
        kind, children = node["type"], node["children"]
        if shape is None:
            return None
        if kind == "field":
            if shape.type_name == "structure" and node["value"] not in shape.members:
                self.j.wrong(" --query", f"{shape.name} has no member {node['value']}")
            return shape.members.get(node["value"]) if shape.type_name == "structure" else None
        if kind in ("subexpression", "index_expression", "pipe"):
            for child in children:
                shape = self.walk(child, shape)
            return shape
        if kind == "index":
            return shape.member if shape.type_name == "list" else None
        if kind in ("projection", "filter_projection"):
            many = self.walk(children[0], shape)
            one = many.member if many is not None and many.type_name == "list" else None
            selected = [self.walk(child, one) for child in children[1:]][0]
            return None if selected is None else Selected(selected)
        if kind == "flatten":
            many = self.walk(children[0], shape)
            deep = many is not None and many.type_name == "list" and many.member.type_name == "list"
            return many.member if deep else many
        if kind in ("identity", "current", "slice"):
            return self.walk(children[0], shape) if children else shape
        for child in children:
            self.walk(child, shape)
        return None


def main():
    models, operations, commands = Models(), set(), json.load(sys.stdin)
    for i, c in enumerate(commands):
        command = Command(models, c)
        for wrong in command.judge():
            print(i, wrong.replace("\n", " ").replace(UNKNOWN, "$…"), sep="\t")
        if command.named:
            operations.add(command.named)
    print(f"{len(commands)} commands of {len(operations)} operations")


if __name__ == "__main__":
    main()
