"""The Teams app package: what `manifests/teams/package.py` builds, and what it refuses."""

from __future__ import annotations

import copy
import importlib.util
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bot.teams.events import Wish

FOLDER = Path(__file__).parents[3] / "manifests" / "teams"
APP_ID = "11111111-2222-3333-4444-555555555555"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"teams_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


package, icons = script("package"), script("icons")


def good() -> tuple[dict[str, Any], dict[str, bytes]]:
    manifest = package.filled_manifest({"MICROSOFT_APP_ID": APP_ID})
    return manifest, {name: (FOLDER / name).read_bytes() for name in ("color.png", "outline.png")}


def test_the_package_is_built_with_nothing_but_the_app_id(tmp_path: Path) -> None:
    """As an admin does it; the manifest is at the top of the zip, all placeholders filled in."""
    output = tmp_path / "new" / "app.zip"
    built = subprocess.run(
        [sys.executable, str(FOLDER / "package.py"), "-o", str(output)],
        env={"MICROSOFT_APP_ID": APP_ID, "TEAMS_COMPANY": 'Acme "Streaming"'},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "TEAMS_WEBSITE_URL" in built.stdout
    with zipfile.ZipFile(output) as opened:
        assert sorted(opened.namelist()) == ["color.png", "manifest.json", "outline.png"]
        manifest = json.loads(opened.read("manifest.json"))
    assert "${" not in json.dumps(manifest)
    assert manifest["bots"][0]["botId"] == APP_ID
    assert set(manifest["bots"][0]["scopes"]) == {"personal", "team", "groupChat"}
    assert manifest["developer"]["name"] == 'Acme "Streaming"'


def test_make_builds_the_package_from_the_bots_own_settings(tmp_path: Path) -> None:
    """`.env` holds the app id already; the environment comes first."""
    (tmp_path / ".env").write_text(f"# x\nexport MICROSOFT_APP_ID='{APP_ID}'\nTEAMS_COMPANY=Acme\nEMPTY\n")
    found = package.settings({"TEAMS_COMPANY": "Globex", "TEAMS_APP_NAME": ""}, tmp_path)
    assert found == {"MICROSOFT_APP_ID": APP_ID, "TEAMS_COMPANY": "Globex"}
    assert package.settings({}, tmp_path / "nowhere") == {}
    makefile = (FOLDER.parents[1] / "Makefile").read_text()
    assert "teams-package:\n\t@$(PYTHON) manifests/teams/package.py -o build/promptai-teams.zip" in makefile


def test_every_command_of_the_manifest_is_understood() -> None:
    """All but the two that only show how to ask."""
    manifest, _ = good()
    offered = {command["title"] for commands in manifest["bots"][0]["commandLists"] for command in commands["commands"]}
    assert {title for title in offered if "…" not in title} == {wish.value for wish in Wish}


def test_without_an_app_id_it_says_what_to_set(tmp_path: Path) -> None:
    """And writes nothing."""
    output = tmp_path / "app.zip"
    built = subprocess.run(
        [sys.executable, str(FOLDER / "package.py"), "-o", str(output)],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 1
    assert "MICROSOFT_APP_ID" in built.stderr
    assert not output.exists()


def test_the_manifest_as_it_is_has_no_problems() -> None:
    """With its icons."""
    assert package.problems(*good()) == []


def png(width: int, height: int, colour_type: int = 6) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    body = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


Change = Callable[[dict[str, Any], dict[str, bytes]], Any]

MISTAKES: dict[str, tuple[Change, str]] = {
    "no description": (lambda m, i: m.pop("description"), "description is missing"),
    "no bots": (lambda m, i: m.update(bots=[]), "bots is missing"),
    "two bots": (lambda m, i: m["bots"].append(m["bots"][0]), "one bot"),
    "an app id that is none": (lambda m, i: m.update(id="promptai"), "id must be a GUID"),
    "a bot id that is none": (lambda m, i: m["bots"][0].update(botId="x"), "botId must be a GUID"),
    "a long name": (lambda m, i: m["name"].update(short="x" * 31), "name.short"),
    "no short name": (lambda m, i: m["name"].update(short=""), "name.short"),
    "a long full name": (lambda m, i: m["name"].update(full="x" * 101), "name.full"),
    "a long company": (lambda m, i: m["developer"].update(name="x" * 33), "developer.name"),
    "a long description": (lambda m, i: m["description"].update(short="x" * 81), "description.short"),
    "a page without https": (lambda m, i: m["developer"].update(privacyUrl="http://x.example"), "privacyUrl"),
    "a page without a host": (lambda m, i: m["developer"].update(websiteUrl="https:///x"), "websiteUrl"),
    "an unknown scope": (lambda m, i: m["bots"][0].update(scopes=["groupchat"]), "scopes"),
    "no scope": (lambda m, i: m["bots"][0].update(scopes=[]), "scopes"),
    "a long command": (lambda m, i: m["bots"][0]["commandLists"][0]["commands"][0].update(title="x" * 33), "command"),
    "a version with letters": (lambda m, i: m.update(version="1.0-beta"), "version"),
    "another schema": (lambda m, i: m.update(manifestVersion="1.17"), "manifestVersion"),
    "a colour without #": (lambda m, i: m.update(accentColor="blue"), "accentColor"),
    "a missing icon": (lambda m, i: i.pop("color.png"), "icons.color must be a PNG"),
    "an icon that is no PNG": (lambda m, i: i.update({"color.png": b"GIF89a" * 9}), "icons.color must be a PNG"),
    "a small icon": (lambda m, i: i.update({"color.png": png(96, 96)}), "192 x 192"),
    "an outline without transparency": (lambda m, i: i.update({"outline.png": png(32, 32, 2)}), "transparent"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake: str) -> None:
    """Before Teams refuses the upload with less to say."""
    change, expected = MISTAKES[mistake]
    manifest, files = copy.deepcopy(good())
    change(manifest, files)
    found = package.problems(manifest, files)
    assert len(found) == 1
    assert expected in found[0]


def pixels(data: bytes) -> bytes:
    """Rows of an image with one IDAT chunk, each after its filter byte; zlibs compress differently."""
    start = data.index(b"IDAT")
    length = struct.unpack(">I", data[start - 4 : start])[0]
    return zlib.decompress(data[start + 4 : start + 4 + length])


def test_the_icons_are_what_the_script_draws() -> None:
    """Nobody has edited them by hand."""
    assert pixels((FOLDER / "color.png").read_bytes()) == pixels(icons.color_icon())
    assert pixels((FOLDER / "outline.png").read_bytes()) == pixels(icons.outline_icon())


def test_the_outline_is_white_on_nothing() -> None:
    """Teams tints it; any other colour would be wrong on a dark theme."""
    drawn = pixels(icons.outline_icon())
    rows = [drawn[row * 129 + 1 : (row + 1) * 129] for row in range(32)]
    visible = [row[at : at + 4] for row in rows for at in range(0, 128, 4) if row[at + 3]]
    assert visible
    assert all(pixel[:3] == b"\xff\xff\xff" for pixel in visible)
    assert rows[0][3] == 0
