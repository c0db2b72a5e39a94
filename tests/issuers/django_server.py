"""An authorization server (django-oauth-toolkit) on loopback: who asks, is answered and is revoked is all the package's own. Ours
are its settings, a client, and three pages for the tests.

    python django_server.py CONFIG

CONFIG is JSON: {"database": FILE, "id", "secret", "grace": seconds, "reuse_protection": bool}. Prints its port and that of the
pages, and ends when stdin does.

    GET  /-/seen             what was asked of the token endpoint: form and status
    GET  /-/good?token=T     whether an access token is good, and its end in Unix seconds
    POST /-/first?client=ID  a first refresh token, as a login would have given it
"""

import json
import secrets
import sys
import threading
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings

LIFETIME = 3600

with open(sys.argv[1], encoding="utf-8") as file:
    config = json.load(file)

settings.configure(
    SECRET_KEY="only of a test",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": config["database"]}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    # It tells the length of answers.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    OAUTH2_PROVIDER={
        "SCOPES": {"read": "Read", "write": "Write"},
        "ACCESS_TOKEN_EXPIRE_SECONDS": LIFETIME,
        "ROTATE_REFRESH_TOKEN": True,
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": config["grace"],
        "REFRESH_TOKEN_REUSE_PROTECTION": config["reuse_protection"],
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from oauth2_provider.models import AccessToken, Application, RefreshToken  # noqa: E402
from oauth2_provider.views import TokenView  # noqa: E402

seen = []


@csrf_exempt
def token(request):
    form = parse_qsl(request.body.decode(), keep_blank_values=True)
    answer = TokenView.as_view()(request)
    seen.append({"form": form, "client": config["id"], "status": answer.status_code})
    return answer


def good(request):
    found = AccessToken.objects.filter(token=request.GET["token"]).first()
    is_good = found is not None and not found.is_expired()
    return JsonResponse({"good": is_good, "ends": found.expires.timestamp() if found else None})


@csrf_exempt
def first(request):
    client = Application.objects.get(client_id=parse_qs(request.META["QUERY_STRING"])["client"][0])
    user = User.objects.get(username="robot")
    access = AccessToken.objects.create(
        user=user,
        application=client,
        token=secrets.token_urlsafe(32),
        scope="read write",
        expires=timezone.now() + timedelta(seconds=LIFETIME),
    )
    refresh = RefreshToken.objects.create(
        user=user, application=client, token=secrets.token_urlsafe(32), access_token=access
    )
    return JsonResponse({"refresh_token": refresh.token})


urlpatterns = [
    path("token", token),
    path("-/seen", lambda request: JsonResponse({"token": seen})),
    path("-/good", good),
    path("-/first", first),
]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    user = User.objects.create_user("robot")
    Application.objects.create(
        client_id=config["id"],
        client_secret=config["secret"],
        user=user,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
    )
    server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # The pages stand at the same port.
    print(server.server_port, server.server_port, flush=True)
    sys.stdin.read()
