"""Parts of a system of 84 agents, each with one fault that its audit names, and its remedy."""
