"""Where people ask: Slack, Teams and the web console.

Start with `bot.conversation` (what every platform calls) and `bot.app` (how it is put together).
"""
