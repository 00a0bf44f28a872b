"""Tools as the API takes them: from OpenAI's dicts, pydantic classes, TypedDicts, functions and LangChain tools (by shape)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast, get_type_hints

JsonObject = dict[str, Any]


def tool_definition(tool: Any, *, strict: bool | None = None) -> JsonObject:
    """One entry of a request's `tools`.

    Raises TypeError for what cannot be a tool.

    >>> def add(a: int, b: int = 0) -> int:
    ...     "Add two numbers."
    >>> tool_definition(add)["function"]["parameters"]["required"]
    ['a']
    """
    if isinstance(tool, dict):
        return _from_dict(cast("JsonObject", tool), strict)
    if hasattr(tool, "args_schema") and hasattr(tool, "name"):
        schema = getattr(tool, "tool_call_schema", None) or tool.args_schema
        return _function(tool.name, getattr(tool, "description", ""), json_schema(schema), strict)
    if isinstance(tool, type) and (is_pydantic(tool) or is_typed_dict(tool)):
        return _function(tool.__name__, _description(tool), json_schema(tool), strict)
    if callable(tool):
        return _function(_name_of(tool), _description(tool), _schema_of_function(tool), strict)
    raise TypeError(f"A tool is a dict, a pydantic class, a function or a LangChain tool, not of type {type(tool).__qualname__}.")


def _from_dict(tool: JsonObject, strict: bool | None) -> JsonObject:
    if "type" in tool and tool["type"] != "object":
        if tool["type"] == "function" and strict is not None:
            return {**tool, "function": {**tool["function"], "strict": strict}}
        return tool
    if "parameters" in tool or "input_schema" in tool:
        return _function(tool["name"], tool.get("description", ""), tool.get("parameters") or tool.get("input_schema") or {}, strict)
    if "title" in tool:
        return _function(tool["title"], tool.get("description", ""), tool, strict)
    raise TypeError(
        f"A tool given as a dict needs `type`, `name` and `parameters`, or a JSON schema with a title; its keys are {', '.join(tool)}."
    )


def _function(name: str, description: str | None, parameters: JsonObject, strict: bool | None) -> JsonObject:
    function: JsonObject = {"name": name, "parameters": strict_schema(parameters) if strict else parameters}
    if description:
        function["description"] = description
    if strict is not None:
        function["strict"] = strict
    return {"type": "function", "function": function}


def tool_choice_for(choice: Any, definitions: list[JsonObject]) -> Any:
    """The API's `tool_choice`. True and `any` ask for some tool; a name asks for that one.

    Raises ValueError for the name of a tool that was not given.
    """
    if choice is None or choice is False or isinstance(choice, dict):
        return cast("JsonObject | None", choice or None)
    if choice in ("auto", "none", "required"):
        return choice
    if choice is True or choice == "any":
        return "required"
    names = [name_of(definition) for definition in definitions]
    if choice in names:
        return {"type": "function", "function": {"name": choice}}
    raise ValueError(f"tool_choice {choice!r} is none of: auto, none, required, any, {', '.join(map(str, names))}")


def name_of(definition: JsonObject) -> str | None:
    """The name in a tool's definition; for a built-in tool its type."""
    function: JsonObject = definition.get("function") or definition.get("custom") or {}
    return function.get("name") or definition.get("name") or definition.get("type")


def is_pydantic(kind: Any) -> bool:
    """Whether it is a pydantic class (of version 2, or of version 1 by its older names)."""
    return isinstance(kind, type) and (hasattr(kind, "model_json_schema") or hasattr(kind, "parse_obj"))


def instance_of(kind: Any, data: Any) -> Any:
    """An instance of a pydantic class. Raises pydantic's ValidationError, which is a ValueError."""
    return kind.model_validate(data) if hasattr(kind, "model_validate") else kind.parse_obj(data)


def is_typed_dict(kind: Any) -> bool:
    """Whether it is a TypedDict class."""
    return isinstance(kind, type) and issubclass(cast("type[object]", kind), dict) and hasattr(cast("type[object]", kind), "__total__")


def json_schema(schema: Any) -> JsonObject:
    """The JSON schema of a pydantic class, a TypedDict, or the schema itself."""
    if isinstance(schema, dict):
        return cast("JsonObject", schema)
    if is_typed_dict(schema):
        hints = get_type_hints(schema, include_extras=True)
        schema = _model_of(
            schema.__name__, {name: (hint, ... if name in schema.__required_keys__ else None) for name, hint in hints.items()}
        )
    made: JsonObject = schema.model_json_schema() if hasattr(schema, "model_json_schema") else schema.schema()
    made.pop("description", None)
    return made


def _model_of(name: str, fields: dict[str, tuple[Any, Any]]) -> Any:
    from pydantic import Field, create_model

    described: dict[str, Any] = {}
    for field, (hint, default) in fields.items():
        # A text in `Annotated[int, "how many"]` describes the field.
        texts = [item for item in getattr(hint, "__metadata__", ()) if isinstance(item, str)]
        described[field] = (hint, Field(default, description=texts[-1] if texts else None))
    return create_model(name, **described)


def strict_schema(schema: Any) -> Any:
    """A schema as the API's strict mode demands: objects closed, every property required, no defaults."""
    if isinstance(schema, list):
        return [strict_schema(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    made: JsonObject = {
        key: value if key in ("enum", "const") else strict_schema(value) for key, value in cast("JsonObject", schema).items()
    }
    if made.get("type") == "object" and isinstance(made.get("properties", {}), dict):
        properties: JsonObject = made.setdefault("properties", {})
        made["additionalProperties"] = False
        made["required"] = list(properties)
        for definition in properties.values():
            if isinstance(definition, dict):
                cast("JsonObject", definition).pop("default", None)
    if "$ref" in made and len(made) > 1:
        # Strict mode takes no neighbours of a reference, such as a description.
        return {"$ref": made["$ref"]}
    return made


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _description(thing: Any) -> str:
    text = inspect.getdoc(thing) if getattr(thing, "__doc__", None) else ""
    # A class without a text of its own inherits its base's, which says nothing about the tool.
    if isinstance(thing, type) and "__doc__" not in thing.__dict__:
        return ""
    return text or ""


def _schema_of_function(function: Callable[..., Any]) -> JsonObject:
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, tuple[Any, Any]] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            fields[name] = (hints.get(name, Any), ... if parameter.default is parameter.empty else parameter.default)
    return json_schema(_model_of(_name_of(function), fields))
