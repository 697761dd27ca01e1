"""Flask under gunicorn with one worker of four threads; connections stay open."""

from wellbehaved import notes_flask


def run(stage):
    notes_flask.serve(stage, 4, workers=1, worker_class="gthread", threads=4, keepalive=30)
