"""Reads bundles with Python's own zip reader, and verifies them with other people's code: the manifest's signature with
securesystemslib (DSSE), checkpoint and receipt proofs with sigstore.

Reads {"key": PEM, "bundles": [BASE64, …], "entries": {INDEX: LEAF DATA, …}} from stdin, and writes one answer for each
bundle: null when it verifies, else the name of what was raised.
"""

import base64
import hashlib
import io
import json
import sys
import zipfile
from types import SimpleNamespace

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
from sigstore._internal import trust
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint

asked = json.load(sys.stdin)
public = load_pem_public_key(asked["key"].encode())
der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
key = SSlibKey.from_crypto(public, keyid=hashlib.sha256(der).hexdigest())
details = trust.common_v1.PublicKeyDetails.PKIX_ED25519
keyring = trust.Keyring([SimpleNamespace(raw_bytes=der, key_details=details)])


def checkpoint(note):
    signed = SignedCheckpoint.from_text(note)
    name = signed.checkpoint.origin.encode()
    signed.signed_note.verify(keyring, hashlib.sha256(name + b"\n\x01" + raw).digest())
    return signed.checkpoint


def verify(bundle):
    with zipfile.ZipFile(io.BytesIO(bundle)) as opened:
        if opened.testzip() is not None:
            raise ValueError("CRC")
        files = {name: opened.read(name) for name in opened.namelist()}
    envelope = Envelope.from_dict(json.loads(files["manifest.dsse.json"]))
    assert list(envelope.verify([key], 1)) == [key.keyid]
    if envelope.payload_type != "application/vnd.efface.evidence-manifest+json":
        raise ValueError("payloadType")
    if envelope.payload != files["manifest.json"]:
        raise ValueError("manifest.json")
    manifest = json.loads(envelope.payload)
    listed = {file["name"]: (file["bytes"], file["sha256"]) for file in manifest["files"]}
    signed = ("manifest.json", "manifest.dsse.json")
    there = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items() if name not in signed}
    if listed != there:
        raise ValueError("files")
    head = checkpoint(files["checkpoint.txt"].decode())
    if (head.origin, head.log_size) != (manifest["checkpoint"]["origin"], manifest["checkpoint"]["size"]):
        raise ValueError("checkpoint.txt")
    proofs = [name for name in files if name.endswith(".tlog-proof")]
    if not proofs:
        raise ValueError("no proof")
    for name in proofs:
        # c2sp.org/tlog-proof: a line, the index, the hashes, an empty line, the checkpoint.
        proof, _, note = files[name].decode().partition("\n\n")
        first, index, *hashes = proof.split("\n")
        assert first == "c2sp.org/tlog-proof@v1"
        of = checkpoint(note)
        index = int(index.removeprefix("index "))
        inclusion = SimpleNamespace(
            log_index=index,
            tree_size=of.log_size,
            hashes=[base64.b64decode(step, validate=True) for step in hashes],
            root_hash=bytes.fromhex(of.log_hash),
        )
        entry = asked["entries"][str(index)].encode()
        verify_merkle_inclusion(SimpleNamespace(_inner=SimpleNamespace(inclusion_proof=inclusion, canonicalized_body=entry)))


def answer(bundle):
    try:
        verify(base64.b64decode(bundle))
        return None
    except Exception as error:  # whatever other people's code raises
        return type(error).__name__


json.dump([answer(bundle) for bundle in asked["bundles"]], sys.stdout)
