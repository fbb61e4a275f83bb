"""OpenAPI 3 and Swagger 2 descriptions, JSON or YAML: one section an operation, one a schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.errors import DocumentUnreadable, NotADocument
from pipeline.knowledge.convert import Converted
from pipeline.knowledge.encoding import decode

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_LONGEST_RELEASE = 60


def read_openapi(data: bytes) -> Converted:
    """Markdown: the description, then each operation with its parameters, body and answers, then the schemas."""
    api = _load(decode(data))
    if not isinstance(api, dict) or not (api.get("openapi") or api.get("swagger")):
        raise NotADocument("no OpenAPI description")
    info = _mapping(api.get("info"))
    title = _line(info.get("title")) or "API"
    lines = [f"# {title}", "", _text(info.get("description"))]
    lines += [f"Server: `{_line(_mapping(server).get('url'))}`" for server in _list(api.get("servers"))]
    for path, item in _mapping(api.get("paths")).items():
        shared = _list(_mapping(item).get("parameters"))
        for method in _METHODS:
            if isinstance(operation := _mapping(item).get(method), dict):
                lines += ["", *_operation(api, method, str(path), operation, shared)]
    schemas = _mapping(_mapping(api.get("components")).get("schemas")) or _mapping(api.get("definitions"))
    for name, schema in schemas.items():
        lines += ["", f"## Schema {_line(name)}", "", *_schema(api, _mapping(schema))]
    return Converted(title, "\n".join(lines), release=_line(info.get("version"))[:_LONGEST_RELEASE])


def _load(text: str) -> Any:
    import yaml  # noqa: PLC0415  # JSON is YAML, but three times as fast by its own parser

    if text.lstrip("\ufeff \r\n\t").startswith("{"):
        import json  # noqa: PLC0415

        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass  # YAML in braces, or broken: the next parser says what is wrong
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        where = getattr(exc, "problem_mark", None)
        raise DocumentUnreadable(f"damaged YAML or JSON{f' in line {where.line + 1}' if where else ''}") from exc


def _operation(
    api: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any], shared: Sequence[Any]
) -> Iterator[str]:
    summary = _line(operation.get("summary"))
    yield f"## {method.upper()} {_line(path)}" + (f": {summary}" if summary else "")
    yield ""
    if operation.get("deprecated"):
        yield "Deprecated.\n"
    yield _text(operation.get("description"))
    parameters = [_resolve(api, each) for each in (*shared, *_list(operation.get("parameters")))]
    if parameters:
        yield from ("", "| Parameter | In | Type | Required | Description |", "| --- | --- | --- | --- | --- |")
    for parameter in parameters:
        kind = _type(api, _mapping(parameter.get("schema")) or parameter)
        required = "yes" if parameter.get("required") else "no"
        cells = (parameter.get("name"), parameter.get("in"), kind, required, parameter.get("description"))
        yield _row(cells)
    body = _resolve(api, operation.get("requestBody"))
    for media, content in _mapping(body.get("content")).items():
        yield from ("", f"Request body ({_line(media)}): {_line(body.get('description'))}", "")
        yield from _schema(api, _mapping(_mapping(content).get("schema")))
    answers = _mapping(operation.get("responses"))
    if answers:
        yield from ("", "| Response | Type | Description |", "| --- | --- | --- |")
    for status, answer in answers.items():
        response = _resolve(api, answer)
        content = next(iter(_mapping(response.get("content")).values()), None)
        schema = _mapping(_mapping(content).get("schema")) or _mapping(response.get("schema"))
        yield _row((status, _type(api, schema) if schema else "", response.get("description")))


def _schema(api: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    found = _resolve(api, schema)
    if description := _text(found.get("description")):
        yield from (description, "")
    parts = [_resolve(api, part) for part in (found, *_list(found.get("allOf")))]
    properties = [
        (name, _mapping(value), name in _list(part.get("required")))
        for part in parts
        for name, value in _mapping(part.get("properties")).items()
    ]
    if not properties:
        yield f"Type: {_type(api, schema)}"
        return
    yield from ("| Field | Type | Required | Description |", "| --- | --- | --- | --- |")
    for name, value, required in properties:
        described = value.get("description") or _resolve(api, value).get("description")
        yield _row((name, _type(api, value), "yes" if required else "no", described))


def _type(api: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> str:
    """A schema in a few words; a reference is its name, so that recursive ones end."""
    if isinstance(reference := schema.get("$ref"), str):
        return reference.rpartition("/")[2]
    if depth > 3:
        return "object"
    for key in ("oneOf", "anyOf", "allOf"):
        if options := _list(schema.get(key)):
            return " or ".join(_type(api, _mapping(option), depth + 1) for option in options[:8])
    kind = schema.get("type")
    name = " or ".join(map(_text, kind[:8])) if isinstance(kind, list) else _text(kind) or "any"
    if name == "array":
        return f"array of {_type(api, _mapping(schema.get('items')), depth + 1)}"
    values = ", ".join(_line(value) for value in _list(schema.get("enum"))[:20])
    form = f" ({_line(schema['format'])})" if schema.get("format") else ""
    default = f", default {_line(schema['default'])}" if "default" in schema else ""
    return f"{name}{form}{f': {values}' if values else ''}{default}"


def _resolve(api: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    """What a local `$ref` leads to, at most five steps on."""
    for _ in range(5):
        if not isinstance(value, dict) or not isinstance(reference := value.get("$ref"), str):
            break
        if not reference.startswith("#/"):
            return {}  # another file's: the source has it, or not
        value = api
        for part in reference[2:].split("/"):
            value = _mapping(value).get(part.replace("~1", "/").replace("~0", "~"))
    return _mapping(value)


def _row(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(_line(cell).replace("|", "\\|") for cell in cells) + " |"


def _line(value: Any) -> str:
    return " ".join(_text(value).split())


def _text(value: Any) -> str:
    """A scalar; a list or mapping where text belongs may be a bomb of references."""
    return str(value) if isinstance(value, str | int | float) else ""


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
