"""Computes redaction-v1.json from keys-v1.json, after docs/redaction.md and without Efface's code.

Needs the package `cryptography`. Run it in this folder; its randomness is fixed.
"""

import base64
import hashlib
import hmac
import json
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SHOP = "snowdevil.myshopify.com"
PLACE = "line_items[*].email"
VALUES = ["john@example.com", "größe", "", 7, -1.5, True, [1, None, {"b": 1, "a": "x"}], {"z": [], "a": {}}]

keys = json.load(open("keys-v1.json"))["keys"]


def secret(kind, key_id):
    return base64.b64decode(next(key["key"] for key in keys[kind] if key["id"] == key_id))


def hkdf_expand(key, info):
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()


def lengths_u64(parts):
    return b"".join(struct.pack(">Q", len(part)) + part for part in parts)


def lengths_u32(parts):
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hashed(value):
    return (value if isinstance(value, str) else canonical(value)).encode()


digest_key = hkdf_expand(secret("digest", "digest-1"), b"efface digest v1 redaction hash")
shop_key = hmac.new(digest_key, lengths_u64([SHOP.encode()]), hashlib.sha256).digest()
hashes = [
    {"value": value, "hash": "hash:" + hmac.new(shop_key, hashed(value), hashlib.sha256).hexdigest()} for value in VALUES
]
hashes += [
    {"value": value, "salt": "pepper", "hash": "hash:" + hashlib.sha256(b"pepper" + hashed(value)).hexdigest()}
    for value in VALUES[:4]
]


def seal(kek, value, number):
    info = lengths_u32([b"efface derived key v1", b"redaction seal", SHOP.encode()])
    content_key = hkdf_expand(secret("kek", kek), info)
    aad = b"\x01" + lengths_u32([b"efface sealed", kek.encode(), b"redaction", b"", PLACE.encode(), SHOP.encode()])
    data_key, wrap_nonce, nonce = bytes([number]) * 32, bytes([number + 1]) * 12, bytes([number + 2]) * 12
    envelope = bytes([1, len(kek)]) + kek.encode()
    envelope += wrap_nonce + AESGCM(content_key).encrypt(wrap_nonce, data_key, aad + b"\x01")
    envelope += nonce + AESGCM(data_key).encrypt(nonce, canonical(value).encode(), aad + b"\x02")
    return {"value": value, "text": "enc:" + base64.urlsafe_b64encode(envelope).rstrip(b"=").decode()}


sealed = [seal(f"kek-{1 + n % 2}", value, n) for n, value in enumerate(VALUES)]
with open("redaction-v1.json", "w") as file:
    json.dump({"shop": SHOP, "place": PLACE, "hashes": hashes, "sealed": sealed}, file, indent=1, ensure_ascii=False)
    file.write("\n")
