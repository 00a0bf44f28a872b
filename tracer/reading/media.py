"""Images, audio and files of a message as parts: blob, uri or file."""

from __future__ import annotations

import base64
from urllib.parse import unquote_to_bytes

from tracer.reading.generation import Part
from tracer.reading.values import Json, as_object, as_text

_AUDIO_TYPES = {"mp3": "audio/mpeg", "pcm16": "audio/pcm", "pcm": "audio/pcm"}


def modality_of(mime_type: str) -> str:
    """The conventions' word for a media type.

    >>> modality_of("image/png"), modality_of("application/pdf")
    ('image', 'document')
    """
    family = mime_type.partition("/")[0]
    return family if family in ("image", "audio", "video") else "document"


def audio_type(encoding: str) -> str:
    """The media type of OpenAI's name of an audio format.

    >>> audio_type("wav"), audio_type("mp3")
    ('audio/wav', 'audio/mpeg')
    """
    return _AUDIO_TYPES.get(encoding, f"audio/{encoding}")


def is_data_url(text: str) -> bool:
    """The text is a URL that holds its data itself."""
    return text[:5].lower() == "data:"


def media_part(url: str, modality: str) -> Part:
    """A part for a URL: `data:` becomes a blob, anything else a reference. `modality` is what the sender says it is."""
    if not is_data_url(url):
        return {"type": "uri", "modality": modality, "uri": url}
    comma = url.find(",")
    if comma < 0:
        return {"type": "blob", "modality": modality, "content": ""}
    head = url[5:comma]
    mime_type = head.partition(";")[0].lower()
    content = url[comma + 1 :]
    if not head.lower().endswith(";base64"):
        content = base64.b64encode(unquote_to_bytes(content)).decode("ascii")
    part: Part = {"type": "blob", "modality": modality_of(mime_type) if mime_type else modality}
    if mime_type:
        part["mime_type"] = mime_type
    part["content"] = content
    return part


def image_part(item: Json) -> Part | None:
    """`image_url` of chat (an object with `url`, or the URL itself) and `input_image` of responses (URL or file id)."""
    image = item.get("image_url")
    holder = as_object(image) or item
    url, file_id = as_text(image) or as_text(holder.get("url")), as_text(holder.get("file_id"))
    if url is not None:
        part = media_part(url, "image")
    elif file_id is not None:
        part: Part = {"type": "file", "modality": "image", "file_id": file_id}
    else:
        return None
    detail = as_text(holder.get("detail"))
    if detail is not None:
        part["detail"] = detail
    return part


def linked_part(item: Json, name: str, modality: str) -> Part | None:
    """`video_url` and `audio_url` of compatible servers: an object with `url`, or the URL itself."""
    value = item.get(name)
    holder = as_object(value)
    url = as_text(value) if holder is None else as_text(holder.get("url"))
    return None if url is None else media_part(url, modality)


def audio_part(item: Json) -> Part | None:
    """`input_audio`: base64 data and its format. The data stays the very object that the parser made."""
    audio = as_object(item.get("input_audio"))
    data = as_text(audio.get("data")) if audio is not None else None
    if audio is None or data is None:
        return None
    if is_data_url(data):
        return media_part(data, "audio")
    part: Part = {"type": "blob", "modality": "audio"}
    encoding = as_text(audio.get("format"))
    if encoding is not None:
        part["mime_type"] = audio_type(encoding)
    part["content"] = data
    return part


def file_part(item: Json) -> Part | None:
    """`file` of chat (fields under `file`) and `input_file` of responses (fields beside the type)."""
    file = as_object(item.get("file")) or item
    part = _file_source(file)
    if part is None:
        return None
    name = as_text(file.get("filename"))
    if name is not None:
        part["filename"] = name
    return part


def _file_source(file: Json) -> Part | None:
    file_id, data, url = as_text(file.get("file_id")), as_text(file.get("file_data")), as_text(file.get("file_url"))
    if file_id is not None:
        return {"type": "file", "modality": "document", "file_id": file_id}
    if data is not None and not is_data_url(data):
        return {"type": "blob", "modality": "document", "content": data}
    source = data or url
    return media_part(source, "document") if source is not None else None


def generated_audio(audio: object, encoding: str | None) -> list[Part]:
    """`audio` of an assistant message: what was said as text, and the sound as blob, or as file where only its id is there."""
    spoken = as_object(audio)
    if spoken is None:
        return []
    parts: list[Part] = []
    transcript, data, id_ = as_text(spoken.get("transcript")), as_text(spoken.get("data")), as_text(spoken.get("id"))
    if transcript is not None:
        parts.append({"type": "text", "content": transcript})
    if data is not None:
        blob: Part = {"type": "blob", "modality": "audio"}
        if encoding is not None:
            blob["mime_type"] = audio_type(encoding)
        blob["content"] = data
        parts.append(blob)
    elif id_ is not None:
        parts.append({"type": "file", "modality": "audio", "file_id": id_})
    return parts
