"""Builds the app package that a Teams admin uploads: fills in the manifest, checks it, zips it with the icons.

    make teams-package      or, without make:
    MICROSOFT_APP_ID=… python manifests/teams/package.py [-o build/promptai-teams.zip]

Every `${NAME}` of `manifest.json` is taken from the environment, or from the file `.env` where the bot's own settings
are; `DEFAULTS` names those that need not be there. The checks are the rules that Microsoft documents for the schema the
manifest names, and for the package around it. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import struct
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DEFAULTS = {
    "TEAMS_APP_NAME": "promptai",
    "TEAMS_COMPANY": "promptai",
    "TEAMS_WEBSITE_URL": "https://www.example.com",
    "TEAMS_PRIVACY_URL": "https://www.example.com/privacy",
    "TEAMS_TERMS_URL": "https://www.example.com/terms",
}
"""Enough for trying it out in one's own tenant; a company names itself and its pages."""

GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
LENGTHS = {
    "developer.name": 32,
    "name.short": 30,
    "name.full": 100,
    "description.short": 80,
    "description.full": 4000,
}
REQUIRED = ("manifestVersion", "version", "id", "developer", "name", "description", "icons", "accentColor", "bots")
SCOPES = {"personal", "team", "groupChat"}
ICON_SIZES = {"color": 192, "outline": 32}
RGBA = 6
"""The colour type of a PNG with transparency."""


class PackageError(Exception):
    """The package would be refused; the message has one line a reason."""


def settings(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The variables of the folder's `.env` file, if there is one, and of the environment, which comes first."""
    found: dict[str, str] = {}
    file = folder / ".env"
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = value.strip().strip("'\"")
    return found | {name: value for name, value in environment.items() if value}


def filled_manifest(environment: Mapping[str, str]) -> dict[str, Any]:
    """`manifest.json` with its placeholders filled in. Raises `PackageError` naming the missing variables."""
    values = DEFAULTS | {name: value for name, value in environment.items() if value}
    template = (HERE / "manifest.json").read_text(encoding="utf-8")
    missing = sorted(set(PLACEHOLDER.findall(template)) - set(values))
    if missing:
        raise PackageError("\n".join(f"Set {name} in the environment or in .env." for name in missing))
    manifest: dict[str, Any] = json.loads(template, object_pairs_hook=lambda pairs: dict(_fill(pairs, values)))
    return manifest


def _fill(pairs: list[tuple[str, Any]], values: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for key, value in pairs:
        filled = PLACEHOLDER.sub(lambda match: values[match[1]], value) if isinstance(value, str) else value
        yield key, filled


def problems(manifest: Mapping[str, Any], icons: Mapping[str, bytes]) -> list[str]:
    """What Teams would refuse, one sentence each; empty if the package is fine."""
    missing = [key for key in REQUIRED if not manifest.get(key)]
    if missing:
        return [f"{key} is missing." for key in missing]
    return [*_manifest_problems(manifest), *_bot_problems(manifest["bots"]), *_icon_problems(manifest["icons"], icons)]


def _manifest_problems(manifest: Mapping[str, Any]) -> Iterator[str]:
    if f"/v{manifest['manifestVersion']}/" not in manifest.get("$schema", ""):
        yield "manifestVersion is not the version of $schema."
    if not re.fullmatch(r"\d+\.\d+\.\d+", manifest["version"]):
        yield "version must be three numbers, like 1.0.0."
    if not GUID.fullmatch(manifest["id"]):
        yield "id must be a GUID: MICROSOFT_APP_ID is the app id of the Azure Bot."
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", manifest["accentColor"]):
        yield "accentColor must be like #1F4FB0."
    for path, limit in LENGTHS.items():
        section, key = path.split(".")
        text = manifest[section].get(key, "")
        if not 0 < len(text) <= limit:
            yield f"{path} must have 1 to {limit} characters, not {len(text)}."
    for key in ("websiteUrl", "privacyUrl", "termsOfUseUrl"):
        if not re.fullmatch(r"https://[^\s/]+\S*", manifest["developer"].get(key, "")):
            yield f"developer.{key} must begin with https://."


def _bot_problems(bots: list[Mapping[str, Any]]) -> Iterator[str]:
    if len(bots) != 1:
        yield "There must be one bot."
    for bot in bots:
        if not GUID.fullmatch(bot.get("botId", "")):
            yield "bots.botId must be a GUID: MICROSOFT_APP_ID is the app id of the Azure Bot."
        if not bot.get("scopes") or not set(bot["scopes"]) <= SCOPES:
            yield f"bots.scopes must be some of {', '.join(sorted(SCOPES))}."
        lists = bot.get("commandLists", [])
        if len(lists) > 3 or any(len(commands["commands"]) > 10 for commands in lists):
            yield "bots.commandLists may hold three lists of ten commands."
        for command in (command for commands in lists for command in commands["commands"]):
            if not 0 < len(command["title"]) <= 32 or not 0 < len(command["description"]) <= 128:
                yield f"The command {command['title']!r} must have a title of 32 and a description of 128 characters."


def _icon_problems(names: Mapping[str, str], icons: Mapping[str, bytes]) -> Iterator[str]:
    for kind, side in ICON_SIZES.items():
        data = icons.get(names.get(kind, ""), b"")
        if data[:8] != b"\x89PNG\r\n\x1a\n":
            yield f"icons.{kind} must be a PNG in the package."
            continue
        width, height, _, colour_type = struct.unpack(">IIBB", data[16:26])
        if (width, height) != (side, side):
            yield f"icons.{kind} must be {side} x {side}, not {width} x {height}."
        if kind == "outline" and colour_type != RGBA:
            yield "icons.outline must have a transparent background."


def build(output: Path, environment: Mapping[str, str]) -> None:
    """Write the zip. Raises `PackageError`."""
    manifest = filled_manifest(environment)
    icons = {name: (HERE / name).read_bytes() for name in manifest["icons"].values()}
    found = problems(manifest, icons)
    if found:
        raise PackageError("\n".join(found))
    output.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False))
        for name, data in icons.items():
            package.writestr(name, data)


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds the Teams app package from MICROSOFT_APP_ID.")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/promptai-teams.zip"))
    output: Path = parser.parse_args().output
    environment = settings(os.environ, Path.cwd())
    try:
        build(output, environment)
    except PackageError as exc:
        print(exc, file=sys.stderr)
        return 1
    unset = [name for name in DEFAULTS if not environment.get(name)]
    if unset:
        print(f"Using examples for {', '.join(unset)}: set them before you give the app to others.")
    print(f"{output} is ready. Teams: Apps > Manage your apps > Upload an app.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
