"""What the workers of queues do for a job; imported by the worker and by who gives it work."""

import hashlib
import json


def digest(number, text):
    data = json.dumps({"number": number, "text": text}).encode()
    for _ in range(200):
        data = hashlib.sha256(data).digest()
    return data.hex()
