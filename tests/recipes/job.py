"""Owns: a job as users write them: it reads its token file anew for each request, every 100 ms, until the file STOP is there.

argv: PORT TOKEN_FILE STOP. stdout: one line for each answer, its status and, where it is not 200, its body.
"""

import http.client
import os
import sys
import time


def main():
    port, token_file, stop = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    while not os.path.exists(stop):
        with open(token_file, encoding="ascii") as file:
            token = file.read()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/jobs", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        print(answer.status if answer.status == 200 else f"{answer.status} {body}", flush=True)
        time.sleep(0.1)


main()
