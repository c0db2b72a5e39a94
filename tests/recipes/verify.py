"""Owns: one answer of PyJWT: does this token hold under this key, by this algorithm alone, without any leeway?

stdin: {"token", "key", "algorithm", "audience" or null, "require": [claims]}. stdout: {"header", "claims", "fingerprint"},
the last being SHA-256 over the public key's DER (null for a secret). Exit code 1, and why on stderr, where it does not hold.
Does not: know anything of renewd.
"""

import base64
import hashlib
import json
import sys

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key


def fingerprint(key):
    """As Snowflake shows it in RSA_PUBLIC_KEY_FP: base64 of SHA-256 over SubjectPublicKeyInfo."""
    if not key.startswith("-----BEGIN"):
        return None
    der = load_pem_public_key(key.encode()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def main():
    asked = json.load(sys.stdin)
    try:
        claims = jwt.decode(
            asked["token"],
            asked["key"],
            algorithms=[asked["algorithm"]],
            audience=asked["audience"],
            leeway=0,
            options={"require": asked["require"], "verify_aud": asked["audience"] is not None},
        )
    except jwt.PyJWTError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    header = jwt.get_unverified_header(asked["token"])
    json.dump({"header": header, "claims": claims, "fingerprint": fingerprint(asked["key"])}, sys.stdout)


main()
