"""Calls to a pool of replicas over kept-open connections: the quickstart client's only way out."""

import http.client
import json
import os
import random
import threading
import time
from urllib.parse import urlsplit

PAUSES = [0.2, 0.5, 1.0, 2.0]  # seconds before the second and later attempts
TIMEOUT_S = 60


class CallFailed(Exception):
    """Every attempt to reach a replica failed."""


class Refused(Exception):
    """A replica answered with a status other than 200."""

    def __init__(self, status, body):
        super().__init__("HTTP %d: %s" % (status, body[:200].decode("utf-8", "replace")))
        self.retry = status >= 500 or status in (408, 429)


class Pool:
    """Where each model and service answers, and one open connection per thread and place."""

    def __init__(self, path):
        self.config = read(path)
        self.local = threading.local()

    def places(self, name, again):
        """The replicas of a name; read again from disk after a failed attempt."""
        config = self.config
        path = config.get("vllm_model_config_path", "")
        if again and os.path.isfile(path):
            config = read(path)
        if not config.get(name):
            raise CallFailed("`%s` has no replica in the model config" % name)
        return ["%s:%d" % (place["ip_addr"], int(place["port"])) for place in config[name]]

    def post(self, name, tool, path, request, calls, url=None):
        """The JSON that a replica of `name` answers; `url`, with its /v1, stands in for the config."""
        payload = json.dumps(request).encode()
        for attempt in range(len(PAUSES) + 1):
            if attempt:
                time.sleep(PAUSES[attempt - 1])
            place = urlsplit(url).netloc if url else random.choice(self.places(name, attempt > 0))
            call = {"model": name, "tool": tool, "endpoint": place}
            calls.append(call)
            started = time.monotonic()
            try:
                return self.once(place, path, payload)
            except (OSError, http.client.HTTPException, ValueError, Refused) as error:
                call["error"] = "%s: %s" % (type(error).__name__, error)
                if not getattr(error, "retry", True):
                    break
            finally:
                call["ms"] = round(1000 * (time.monotonic() - started), 1)
        raise CallFailed("`%s` at %s: %s" % (name, place, call["error"]))

    def once(self, place, path, payload):
        """One request; a kept connection that the server has closed meanwhile is opened anew once."""
        kept = self.local.__dict__.setdefault("connections", {})
        while True:
            connection = kept.pop(place, None)
            fresh = connection is None
            if fresh:
                connection = http.client.HTTPConnection(place, timeout=TIMEOUT_S)
            try:
                connection.request("POST", path, payload, {"Content-Type": "application/json"})
                reply = connection.getresponse()
                body = reply.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                connection.close()
                if fresh:
                    raise
                continue
            except Exception:
                connection.close()
                raise
            kept[place] = connection
            if reply.status != 200:
                raise Refused(reply.status, body)
            return json.loads(body)


def read(path):
    """A model config."""
    with open(path) as file:
        return json.load(file)
