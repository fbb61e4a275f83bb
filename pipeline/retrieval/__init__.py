"""Finding passages: embedder, Chroma, keyword index and their fusion."""
