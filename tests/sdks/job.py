"""Owns: jobs as users write them with each SDK: nothing but its environment tells it where the token file is.

argv: SDK [PUBLIC_KEY]. A line on stdin has it ask for credentials once, in the same process; a line of JSON on stdout
is what it got.
"""

import json
import sys
import time


def aws(_):
    import boto3

    credentials = boto3.Session().get_credentials()
    return lambda: credentials.get_frozen_credentials().access_key


def azure(_):
    from azure.identity import WorkloadIdentityCredential

    credential = WorkloadIdentityCredential(disable_instance_discovery=True)
    # Another resource each time, so that no answer comes from the SDK's own cache.
    resources = (f"https://resource-{n}.example/.default" for n in range(1000))
    return lambda: credential.get_token(next(resources)).token


def google(_):
    import google.auth
    from google.auth.transport.requests import Request

    credentials, _ = google.auth.default()
    credentials = credentials.with_scopes(["https://www.googleapis.com/auth/cloud-platform"])
    request = Request()

    def ask():
        headers = {}
        credentials.before_request(request, "GET", "https://storage.googleapis.com/", headers)
        return headers["authorization"].removeprefix("Bearer ")

    return ask


def wlcg(public_key):
    from scitokens import SciToken

    with open(public_key, "rb") as file:
        public_key = file.read()
    return lambda: dict(SciToken.discover(public_key=public_key).claims())


def main():
    # The SDKs ask this clock; a line `later SECONDS` sets it forward.
    real, ahead = time.time, 0
    time.time = lambda: real() + ahead
    ask = {"aws": aws, "azure": azure, "google": google, "wlcg": wlcg}[sys.argv[1]](sys.argv[-1])
    for line in sys.stdin:
        words = line.split()
        if words[0] == "later":
            ahead += int(words[1])
        print(json.dumps(ask()), flush=True)


main()
