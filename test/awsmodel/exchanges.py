"""Holds requests and answers against the service models that AWS publishes with botocore.

Standard input: one exchange a line, as JSON: service, method, path, query, headers (names in lower case), body (base64),
status, answer_headers, answer (base64). Standard output: a line for each thing that a model does not allow, the exchange's number, a
tab and a text; then "N exchanges of M operations".
"""

import urllib.parse
import xml.etree.ElementTree as xml

# Errors that every operation of a service can return: "Common errors" of each service's API reference. S3's are those of
# "Error responses", as far as objects go; its model names almost none.
JSON_ERRORS = {
    "AccessDeniedException", "AccessDenied", "ExpiredTokenException", "IncompleteSignature", "IncompleteSignatureException",
    "InternalFailure", "InternalServerError", "InvalidSignatureException", "MissingAuthenticationToken",
    "MissingAuthenticationTokenException", "NotAuthorized", "RequestExpired", "SerializationException", "ServiceUnavailable",
    "ServiceUnavailableException", "ThrottlingException", "UnknownOperationException", "UnrecognizedClientException",
    "ValidationException", "ValidationError",
}
S3_ERRORS = {
    "AccessDenied", "BadDigest", "ConditionalRequestConflict", "EntityTooLarge", "InternalError", "InvalidAccessKeyId",
    "InvalidArgument", "InvalidBucketName", "InvalidDigest", "InvalidRange", "InvalidRequest", "KeyTooLongError", "MalformedXML",
    "MethodNotAllowed", "MissingContentLength", "NoSuchBucket", "NoSuchKey", "NoSuchVersion", "NotImplemented",
    "PreconditionFailed", "RequestTimeout", "ServiceUnavailable", "SignatureDoesNotMatch", "SlowDown",
}


class Exchange:
    """One request and its answer."""

    def __init__(self, models, e):
        self.e, self.model = e, models.of(e["service"])
        self.protocol = self.model.metadata["protocol"]
        self.operation, self.labels, self.query = self.find()
        self.body, self.answer = (base64.b64decode(e[part] or "") for part in ("body", "answer"))

    def find(self):
        """Returns the operation, and what its path says."""
        query = urllib.parse.parse_qs(self.e["query"], keep_blank_values=True)
        query.pop("x-id", None)  # the SDK's own
        if self.protocol == "json":
            target = self.e["headers"].get("x-amz-target", "")
            prefix, _, name = target.partition(".")
            if prefix != self.model.metadata["targetPrefix"] or name not in self.model.operation_names:
                return None, {}, query
            return self.model.operation_model(name), {}, query
        best = None
        for name in self.model.operation_names:
            operation = self.model.operation_model(name)
            path, _, fixed = operation.http["requestUri"].partition("?")
            fixed = urllib.parse.parse_qs(fixed, keep_blank_values=True)
            if operation.http["method"] != self.e["method"] or any(query.get(k) != v for k, v in fixed.items()):
                continue
            pattern = re.sub(r"\\\{(\w+)\\\+\\\}", r"(?P<\1>.+)", re.escape(path))
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern)
            m = re.fullmatch(pattern, self.e["path"])
            if m is None:
                continue
            rest = {k: v for k, v in query.items() if k not in fixed}
            members = operation.input_shape.members if operation.input_shape else {}
            known = {by_name(s, n) for n, s in members.items()}
            if any(not self.given(members[n], n, query) for n in (operation.input_shape.required_members if members else ())):
                continue
            # Operations that know the parameters come first; then the one with the most that are fixed.
            rank = (all(k in known for k in rest), len(fixed), name)
            if best is None or rank > best[0]:
                best = rank, operation, {k: urllib.parse.unquote(v) for k, v in m.groupdict().items()}, rest
        return best[1:] if best else (None, {}, query)

    def given(self, member, name, query):
        """Reports whether a member is there that distinguishes operations of one path: a parameter or a header."""
        location, wire = member.serialization.get("location"), by_name(member, name)
        return location not in ("querystring", "header") or wire in query or wire.lower() in self.e["headers"]

    def judge(self):
        if self.operation is None:
            return [f"{self.e['service']}: no operation is {self.e['method']} {self.e['path']}?{self.e['query']} {self.e['headers'].get('x-amz-target', '')}"]
        return self.request() + self.response()

    def request(self):
        shape, where = self.operation.input_shape, f"{self.e['service']}.{self.operation.name} request"
        j = Judge(where)
        if shape is None:
            return j.found
        if self.protocol == "json":
            if self.e["headers"].get("content-type") != f"application/x-amz-json-{self.model.metadata['jsonVersion']}":
                j.wrong("", f"content-type {self.e['headers'].get('content-type')!r}")
            j.value(shape, self.json(self.body, j))
            return j.found
        value = self.bound(shape, self.e["headers"], self.body, j)
        for name, values in self.query.items():
            value[name] = values if any(by_name(s, n) == name and s.type_name == "list" for n, s in shape.members.items()) else values[0]
        value.update(self.labels)
        j.value(shape, value)
        return j.found

    def response(self):
        status, where = self.e["status"], f"{self.e['service']}.{self.operation.name} answer {self.e['status']}"
        j = Judge(where, answer=True)
        if status >= 300:
            self.error(j)
            return j.found
        want = self.operation.http.get("responseCode")
        # A call with InvocationType=Event answers 202, as the reference has it; the model knows one code for all types.
        if want and status != want and self.operation.name != "Invoke" and not (status == 206 or self.protocol == "rest-xml" and status == 204):
            j.wrong("", f"want {want}")
        shape = self.operation.output_shape
        if shape is None:
            if self.protocol == "json" and self.answer not in (b"", b"{}"):
                j.wrong("", "a body, want none")
            return j.found
        if self.protocol == "json":
            j.value(shape, self.json(self.answer, j))
        else:
            j.value(shape, self.bound(shape, self.e["answer_headers"], self.answer, j))
        return j.found

    def bound(self, shape, headers, body, j):
        """Reads the members of a REST request or answer from where its shape binds them; a path's are added by the caller."""
        value, payload, inside = {}, shape.serialization.get("payload"), []
        for name, member in shape.members.items():
            location, wire = member.serialization.get("location"), by_name(member, name)
            if location == "header":
                if wire.lower() in headers:
                    text = headers[wire.lower()]
                    value[wire] = [t.strip() for t in text.split(",")] if member.type_name == "list" else text
                    if member.serialization.get("jsonvalue"):
                        value.pop(wire)
            elif location == "headers":
                found = {k[len(wire):]: v for k, v in headers.items() if k.startswith(wire.lower())}
                if found:
                    value[wire] = found
            elif location in (None, "statusCode"):
                if location is None and name != payload:
                    inside.append(name)
        if payload:
            member = shape.members[payload]
            if member.type_name in ("blob", "string"):
                if body:
                    value[by_name(member, payload)] = body if member.type_name == "blob" else body.decode()
            elif body:
                value[by_name(member, payload)] = self.parse(member, body, j)
        elif inside and body:
            parsed = self.parse(shape, body, j)
            if isinstance(parsed, dict):
                value.update(parsed)
        elif body:
            j.wrong("", f"a body of {len(body)} octets, want none")
        return value

    def parse(self, shape, body, j):
        if self.protocol == "rest-json":
            return self.json(body, j)
        try:
            return element(shape, xml.fromstring(body), j)
        except xml.ParseError:
            return j.wrong("", f"not XML: {body[:80]!r}")

    def json(self, body, j):
        try:
            return json.loads(body or b"{}")
        except ValueError:
            j.wrong("", f"not JSON: {body[:80]!r}")
            return {}

    def error(self, j):
        status, named = self.e["status"], None
        if self.e["method"] == "HEAD" or status == 304:
            return
        if self.protocol == "rest-xml":
            try:
                named = xml.fromstring(self.answer).findtext("Code")
            except xml.ParseError:
                return j.wrong("", f"not XML: {self.answer[:80]!r}")
            common = S3_ERRORS
        else:
            try:
                named = self.e["answer_headers"].get("x-amzn-errortype") or json.loads(self.answer).get("__type", "")
            except ValueError:
                return j.wrong("", f"not JSON: {self.answer[:80]!r}")
            named, common = named.split(":")[0].rpartition("#")[2], JSON_ERRORS
        for shape in self.operation.error_shapes:
            if shape.name == named or shape.metadata.get("error", {}).get("code") == named:
                code = shape.metadata.get("error", {}).get("httpStatusCode")
                if code and code != status:
                    j.wrong("", f"{named} is {code}")
                if self.protocol == "json" and not 400 <= status < 600:
                    j.wrong("", f"{named} with status {status}")
                return
        if named not in common:
            j.wrong("", f"no error of this operation is {named!r}")


def element(shape, node, j):
    """Reads XML along a shape; an element that the shape does not know is wrong."""
    if shape.type_name == "structure":
        value, names = {}, {by_name(s, n): (n, s) for n, s in shape.members.items()}
        for child in node:
            tag = child.tag.rpartition("}")[2]
            found = names.get(tag)
            if found is None or found[1].serialization.get("location"):
                j.wrong("", f"{shape.name} has no element {tag}")
            elif found[1].type_name == "list" and found[1].serialization.get("flattened"):
                value.setdefault(tag, []).append(element(found[1].member, child, j))
            else:
                value[tag] = element(found[1], child, j)
        return value
    if shape.type_name == "list":
        return [element(shape.member, child, j) for child in node]
    return node.text or ""


def main():
    models, operations, count = Models(), set(), 0
    for line in sys.stdin:
        exchange = Exchange(models, json.loads(line))
        if exchange.operation is not None:
            operations.add((exchange.e["service"], exchange.operation.name))
        for wrong in exchange.judge():
            print(count, wrong.replace("\n", " "), sep="\t")
        count += 1
    print(f"{count} exchanges of {len(operations)} operations")


if __name__ == "__main__":
    main()
