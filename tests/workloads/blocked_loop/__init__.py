"""A server whose async handler blocks its event loop, in each way that a loop is blocked."""
