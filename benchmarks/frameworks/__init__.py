"""The same pages and questions in other frameworks, each in its own environment."""
