"""agents-6: rendered prompts are cached under a key that never comes back, for ever.

The remedy is the audit's: the least recently used entry goes when the cache is full.
"""

import time
from collections import OrderedDict

PROMPTS_PER_SECOND = 300
MOST_ENTRIES = 1000
AGENTS = 84
PROMPT = "You are agent %d. Your task is number %d.\n" + "Think step by step, and be brief.\n" * 90


class PromptCache:
    def __init__(self):
        self.prompts = {}

    def prompt(self, agent, task):
        key = (agent, task)
        if key not in self.prompts:
            self.prompts[key] = PROMPT % (agent, task)  # SITE agents-6 memory-growth
        return self.prompts[key]


class BoundedPromptCache:
    def __init__(self):
        self.prompts = OrderedDict()

    def prompt(self, agent, task):
        key = (agent, task)
        if key in self.prompts:
            self.prompts.move_to_end(key)
            return self.prompts[key]
        if len(self.prompts) >= MOST_ENTRIES:
            self.prompts.popitem(last=False)
        prompt = self.prompts[key] = PROMPT % key
        return prompt


def run(session, fixed):
    cache = BoundedPromptCache() if fixed else PromptCache()
    session.begin()
    task = 0
    due = time.monotonic()
    while True:
        # In batches of a tenth of a second: a sleep for each prompt would be a poll of its own.
        for _ in range(PROMPTS_PER_SECOND // 10):
            task += 1
            cache.prompt(task % AGENTS, task)
        due += 0.1
        time.sleep(max(0, due - time.monotonic()))
