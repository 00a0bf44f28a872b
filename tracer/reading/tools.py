"""Tools offered to the model, in the conventions' flat shape."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.reading.anthropic_parts import tool_type
from tracer.reading.values import Json, Problems, as_list, as_object, as_text, kind, list_at, note

_KEPT = ("description", "parameters", "strict", "format", "search_context_size", "vector_store_ids")
"""By allow-list: definitions of MCP tools carry keys and headers, those of web search the user's place."""

_SECRET = ("headers", "authorization", "authorization_token")
_WITH_SECRETS = ("tools", "mcp_servers")


def tool_definitions(request: Json, problems: Problems) -> list[Json]:
    """`tools` of chat (nested) and responses (flat), and the older `functions`, as `{type, name, description?, parameters?}`.

    >>> tool_definitions({"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "web_search"}]}, [])
    [{'type': 'function', 'name': 'f'}, {'type': 'web_search', 'name': 'web_search'}]
    """
    definitions: list[Json] = []
    for name in ("tools", "functions"):
        value = request.get(name)
        tools = as_list(value)
        if tools is None:
            if value is not None:
                note(problems, f"{name} is {kind(value)}")
            continue
        for tool in tools:
            fields = as_object(tool)
            if fields is None:
                note(problems, f"a tool is {kind(tool)}")
            else:
                definitions.append(_definition(fields))
    return definitions


def anthropic_tool_definitions(request: Json, problems: Problems) -> list[Json]:
    """`tools` of Anthropic's Messages API in the same shape.

    >>> anthropic_tool_definitions({"tools": [{"name": "f", "input_schema": {}}, {"type": "bash_20250124", "name": "bash"}]}, [])
    [{'type': 'function', 'name': 'f', 'parameters': {}}, {'type': 'bash', 'name': 'bash'}]
    """
    definitions: list[Json] = []
    for tool in list_at(request, "tools", problems) or ():
        fields = as_object(tool)
        if fields is None:
            note(problems, f"a tool is {kind(tool)}")
            continue
        type_ = tool_type(as_text(fields.get("type")))
        name = as_text(fields.get("name")) or as_text(fields.get("mcp_server_name")) or type_
        definition: Json = {"type": type_, "name": name}
        if as_text(fields.get("description")) is not None:
            definition["description"] = fields["description"]
        if fields.get("input_schema") is not None:
            definition["parameters"] = fields["input_schema"]
        definitions.append(definition)
    return definitions


def _definition(tool: Json) -> Json:
    type_ = as_text(tool.get("type")) or "function"
    nested = as_object(tool.get(type_))
    fields = nested if nested is not None else tool
    name = as_text(fields.get("name")) or as_text(fields.get("server_label")) or type_
    definition: Json = {"type": type_, "name": name}
    for key in _KEPT:
        value = fields.get(key)
        if value is not None and value != "":
            definition[key] = value
    return definition


def without_secrets(request: Json) -> Json:
    """The request without the keys and headers that definitions of tools and MCP servers carry; the same object where there are none."""
    if "tools" not in request and "mcp_servers" not in request:
        return request
    cleaned = {name: [_without_secret(item) if _has_secret(item) else item for item in items] for name, items in _holders(request)}
    return {**request, **cleaned} if cleaned else request


def _holders(request: Json) -> Iterator[tuple[str, list[object]]]:
    for name in _WITH_SECRETS:
        items = as_list(request.get(name))
        if items and any(_has_secret(item) for item in items):
            yield name, items


def _has_secret(tool: object) -> bool:
    fields = as_object(tool)
    return fields is not None and any(name in fields for name in _SECRET)


def _without_secret(tool: object) -> Json:
    return {key: value for key, value in (as_object(tool) or {}).items() if key not in _SECRET}
