"""Embeddings in the encoding that was asked for."""

from __future__ import annotations

import json
from array import array
from base64 import b64decode
from typing import Any


def as_asked(body: bytes, request: dict[str, Any]) -> bytes:
    """The recorded answer, its vectors as numbers unless the request asks for base64, as the API does it.

    SDKs ask for base64 where they can read it; older ones cannot without numpy.

    >>> as_asked(b'{"data":[{"embedding":"AACAPwAAAEA="}]}', {})
    b'{"data":[{"embedding":[1.0,2.0]}]}'
    """
    if request.get("encoding_format") == "base64":
        return body
    answer = json.loads(body)
    found = [item for item in answer.get("data") or () if isinstance(item.get("embedding"), str)]
    for item in found:
        item["embedding"] = array("f", b64decode(item["embedding"])).tolist()
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() if found else body
