"""The embedded model's process: a llama.cpp server that lives no longer than its parent.

Run as a script by `child_process.py`, so it imports nothing of this package. One JSON line on stdin says what to
serve; one JSON line on stdout says where. The key comes on stdin: command lines and environments can be read by others.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import MutableMapping
from typing import Any, NoReturn

SPINS = "2000"
"""How often a thread of OpenMP looks for work before it sleeps. By default it is some 300,000 times, milliseconds of every
barrier: where another program wants the same cores, a token then takes seconds (docs/experiments.md)."""

PROMPT_CACHE_MIB = 256
"""llama.cpp would keep up to 8 GiB of old prompts."""


def main() -> None:
    config: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    ready = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever native code prints goes to the log

    sleep_sooner(os.environ)
    import xllamacpp  # noqa: PLC0415 - after stdout is out of its reach, and OpenMP reads its settings when it is loaded

    server = xllamacpp.Server(_params(xllamacpp, config))
    print(json.dumps({"url": server.listening_address}), file=ready, flush=True)
    threading.Event().wait()


def sleep_sooner(environment: MutableMapping[str, str]) -> None:
    """Let OpenMP's threads give up their core soon, unless whoever runs this has decided on it."""
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", SPINS)


def _params(xllamacpp: Any, config: dict[str, Any]) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = config["model_path"]
    params.n_parallel = config["slots"]
    params.n_ctx = config["slots"] * config["context_tokens"]  # shared by the slots
    params.cpuparams.n_threads = config["threads"]
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in config["adapters"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [config["api_key"]]
    params.endpoint_metrics = True
    params.endpoint_slots = False
    params.ui = False
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.verbosity = 2  # errors and warnings, never a prompt
    return params


def _end_with_parent() -> NoReturn:
    """Wait for the end of stdin: it comes whenever and however the parent dies."""
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
