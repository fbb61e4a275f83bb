"""A process that converts documents, with little memory and no way to write files or to see our secrets.

It reads a JSON line (`name`, `size`, `max_bytes`) and as many bytes from stdin, and answers with a JSON line on stdout:
never with a pickle, since whoever takes over this process must not get into the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
from dataclasses import asdict
from typing import Any

from pipeline.errors import DocumentUnreadable, NotADocument
from pipeline.knowledge.convert import convert


def main() -> None:
    limit_itself(int(sys.argv[1]))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints goes to the log
    while line := sys.stdin.buffer.readline():
        order = json.loads(line)
        data = sys.stdin.buffer.read(order["size"])
        answers.write(json.dumps(answer(data, order["name"], order["max_bytes"])).encode() + b"\n")
        answers.flush()


def limit_itself(max_memory: int) -> None:
    """Memory in bytes; files cannot be written, cores not dumped."""
    for limit, value in (
        (resource.RLIMIT_DATA, max_memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # a system without that limit, or with a lower one
            resource.setrlimit(limit, (value, value))


def answer(data: bytes, name: str, max_bytes: int) -> dict[str, Any]:
    """The converted document, or why it could not be."""
    try:
        return {"converted": asdict(convert(data, name, max_bytes=max_bytes))}
    except NotADocument as exc:
        return {"skip": str(exc)}
    except DocumentUnreadable as exc:
        return {"refused": str(exc)}
    except MemoryError:
        return {"refused": "it needs too much memory to be converted", "spent": True}
    except Exception as exc:  # a converter's bug with one strange document
        return {"refused": f"cannot be converted ({type(exc).__name__})"}


if __name__ == "__main__":
    main()
