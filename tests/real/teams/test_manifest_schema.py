"""The Teams manifest against the schemas that Microsoft publishes (npm `@microsoft/app-manifest` carries them)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.real.teams.npm import CACHES, NpmMissing, npm_install

pytestmark = pytest.mark.real

MANIFESTS = Path(__file__).parents[3] / "manifests" / "teams"
CACHE = CACHES / "teams-schemas"
SCHEMAS = CACHE / "node_modules" / "@microsoft" / "app-manifest" / "build" / "json-schemas" / "teams"


async def test_the_manifest_follows_the_schema_that_it_names(tmp_path: Path) -> None:
    """Exactly as it is uploaded."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: pip install jsonschema")
    try:
        await asyncio.to_thread(npm_install, "@microsoft/app-manifest@1.1.2", CACHE, SCHEMAS)
    except NpmMissing as missing:
        pytest.skip(str(missing))
    output = tmp_path / "app.zip"
    environment = {**os.environ, "MICROSOFT_APP_ID": "11111111-2222-3333-4444-555555555555"}
    subprocess.run([sys.executable, str(MANIFESTS / "package.py"), "-o", str(output)], env=environment, check=True)
    with zipfile.ZipFile(output) as package:
        manifest = json.loads(package.read("manifest.json"))
    schema = json.loads((SCHEMAS / f"v{manifest['manifestVersion']}" / "MicrosoftTeams.schema.json").read_text())
    assert manifest["$schema"] == schema.get("id", manifest["$schema"])
    errors = [error.message for error in jsonschema.Draft4Validator(schema).iter_errors(manifest)]
    assert errors == []
