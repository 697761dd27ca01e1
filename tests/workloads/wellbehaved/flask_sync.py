"""Flask under gunicorn with two sync workers, which close each connection after its answer."""

from wellbehaved import notes_flask


def run(stage):
    notes_flask.serve(stage, 4, workers=2)
