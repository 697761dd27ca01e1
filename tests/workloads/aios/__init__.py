"""Parts of aios, a set of tools for an assistant's workspace, as its audit found them."""
