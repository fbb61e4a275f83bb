"""A tenant's name as part of a folder or collection name."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

_READABLE_CHARACTERS = 40
_HASH_CHARACTERS = 16


@lru_cache(maxsize=10_000)
def tenant_key(tenant: str) -> str:
    """A name of `[a-z0-9-]` for a tenant: readable, then a hash.

    The hash keeps tenants apart that differ only in case or punctuation (also on file systems that ignore case), and
    whatever the tenant is called, the key is never a path.
    """
    if not tenant:
        raise ValueError("a tenant has a name")
    readable = re.sub(r"[^a-z0-9]+", "-", tenant.lower()).strip("-")[:_READABLE_CHARACTERS].strip("-")
    digest = hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARACTERS]
    return f"{readable}-{digest}" if readable else digest
