"""The other ends: what sam-brain talks to, and who talks to it. None of them is watched."""
