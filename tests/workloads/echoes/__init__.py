"""Parts of echoes, an assistant behind FastAPI, as its audit found them."""
