"""Readers of the formats that need more than decoding: one module a family, each a function from bytes to `Converted`."""
