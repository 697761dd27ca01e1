"""Django under waitress, notes through its ORM, its SQLite connections persistent."""

import json

import django
import waitress
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.http import HttpResponse, JsonResponse
from django.template import engines
from django.urls import path

PAGE = "<ul>{% for note in notes %}<li>{{ note.text }}</li>{% endfor %}</ul>"
urlpatterns = []


def configure(database):
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="of no value",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": database,
                "CONN_MAX_AGE": None,
                "OPTIONS": {
                    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
                    "transaction_mode": "IMMEDIATE",
                },
            }
        },
    )
    django.setup()


def make_views():
    class Note(models.Model):
        text = models.TextField()

        class Meta:
            app_label = "notes"

    with connection.schema_editor() as editor:
        editor.create_model(Note)
    page = engines["django"].from_string(PAGE)

    def notes(request):
        if request.method == "POST":
            note = Note.objects.create(text=json.loads(request.body)["text"])
            return JsonResponse({"id": note.pk})
        newest = Note.objects.order_by("-pk")[:20]
        return HttpResponse(page.render({"notes": newest}))

    urlpatterns.append(path("notes", notes))


def run(stage):
    configure(stage.folder / "notes.db")
    make_views()
    application = get_wsgi_application()
    listener = stage.listen()
    server = waitress.create_server(application, sockets=[listener], threads=4)
    stage.load("http_load", listener.getsockname()[1], 30, 4)
    stage.begin()
    server.run()
