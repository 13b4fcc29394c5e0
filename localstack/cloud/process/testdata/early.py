"""A function that asks for its first work before the call that starts it has returned, as on a busy machine.

Only the executor itself is under test, so LocalStack's modules are stand-ins. Exit status 0: it got its work.
"""

import http.client
import os
import sys
import threading
import types

PARTS = {
    "localstack.runtime.server.plugins": "RuntimeServerPlugin",
    "localstack.services.lambda_.invocation.lambda_models": "InvocationResult",
    "localstack.services.lambda_.invocation.plugins": "RuntimeExecutorPlugin",
    "localstack.services.lambda_.invocation.runtime_executor": "RuntimeExecutor",
}
for name, part in PARTS.items():
    module = types.ModuleType(name)
    setattr(module, part, type(part, (), {}))
    sys.modules[name] = module
    for end in [i for i, c in enumerate(name) if c == "."]:
        sys.modules.setdefault(name[:end], types.ModuleType(name[:end]))

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "executor"))
import lambda_process_executor as executor  # noqa: E402


class Early:
    """Stands in for the process."""

    def __init__(self, command, env, **options):
        self.ended, self.answer = threading.Event(), None
        self.asks = threading.Thread(target=self.ask, args=(env["AWS_LAMBDA_RUNTIME_API"],), daemon=True)
        self.asks.start()
        self.asks.join(0.5)  # time enough for the request to arrive, and to fail if it is going to

    def ask(self, api):
        connection = http.client.HTTPConnection(api, timeout=10)
        connection.request("GET", executor.API + "invocation/next")
        self.answer = connection.getresponse().read()

    def send_signal(self, number):
        pass

    def wait(self, timeout=None):
        self.ended.wait(timeout)
        return 0


executor.subprocess.Popen = Early
box = executor.Sandbox("/nowhere", {})
box.ready.result(5)
box.request_id, box.pending = "1", executor.Future()
box.jobs.put((b'{"work":1}', {}))
box.process.asks.join(5)
if box.process.answer != b'{"work":1}':
    sys.exit(f"the function got {box.process.answer!r}")
