"""Reads each dashboard by Grafana's own SDK and writes it again: what does not come back as it was is
unknown to Grafana, or of another type than it takes.

usage: round_trip.py DASHBOARD.json...
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def differences(before, after, place=""):
    """What was there before and is not, or differs, after; what the SDK adds are defaults."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key not in after:
                yield "%s/%s is lost" % (place, key)
            else:
                yield from differences(value, after[key], "%s/%s" % (place, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, value in enumerate(before):
            yield from differences(value, after[index], "%s/%d" % (place, index))
    elif before != after:
        yield "%s: %r becomes %r" % (place, before, after)


def round_trip(dashboard):
    return json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))


def main(paths):
    register_default_plugins()
    faults = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            dashboard = json.load(file)
        faults += ["%s: %s" % (path, one) for one in differences(dashboard, round_trip(dashboard))]
    # A check that loses nothing whatever it is given would prove nothing.
    dashboard["panels"][1]["gridpos"] = {}
    if not list(differences(dashboard, round_trip(dashboard))):
        faults.append("an unknown key comes back")
    print("\n".join(faults), end="\n" if faults else "", file=sys.stderr)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
