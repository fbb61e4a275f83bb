"""The page that ends an installation. Nothing in it comes to life, whatever a workspace is called."""

from __future__ import annotations

from html import escape

from aiohttp import web

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem;color:#1f2a44}}
a{{color:inherit}}@media(prefers-color-scheme:dark){{body{{background:#12161f;color:#e6e9f0}}}}</style></head>
<body><main><h1>{title}</h1><p>{text}</p>{again}</main></body></html>
"""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the address holds Slack's code
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def page(title: str, text: str, *, status: int = 200) -> web.Response:
    """A short page; after a failure with a link to begin again."""
    again = "" if status == 200 else '<p><a href="/slack/install">Install again</a></p>'
    body = _PAGE.format(title=escape(title), text=escape(text), again=again)
    return web.Response(text=body, content_type="text/html", status=status, headers=_HEADERS)
