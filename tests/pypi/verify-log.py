"""Verifies checkpoints and inclusion proofs with other people's code: sigstore, which reads and verifies those of Rekor.

Reads {"key": PEM, "proofs": [{"checkpoint": NOTE, "entry": TEXT, "index": N, "hashes": [HEX, …]}, …]} from stdin, and writes
one answer for each proof: null when checkpoint and proof verify, else the name of what was raised.
"""

import hashlib
import json
import sys
from types import SimpleNamespace

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from sigstore._internal import trust
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint

asked = json.load(sys.stdin)
public = load_pem_public_key(asked["key"].encode())
der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
details = trust.common_v1.PublicKeyDetails.PKIX_ED25519
keyring = trust.Keyring([SimpleNamespace(raw_bytes=der, key_details=details)])
assert len(keyring._keyring) == 1


def verify(proof):
    signed = SignedCheckpoint.from_text(proof["checkpoint"])
    says = signed.checkpoint
    # The id of a key under a name, as C2SP signed-note has it.
    name = says.origin.encode()
    signed.signed_note.verify(keyring, hashlib.sha256(name + b"\n\x01" + raw).digest())
    inclusion = SimpleNamespace(
        log_index=proof["index"],
        tree_size=says.log_size,
        hashes=[bytes.fromhex(step) for step in proof["hashes"]],
        root_hash=bytes.fromhex(says.log_hash),
    )
    inner = SimpleNamespace(inclusion_proof=inclusion, canonicalized_body=proof["entry"].encode())
    verify_merkle_inclusion(SimpleNamespace(_inner=inner))


def answer(proof):
    try:
        verify(proof)
        return None
    except Exception as error:  # whatever other people's code raises
        return type(error).__name__


json.dump([answer(proof) for proof in asked["proofs"]], sys.stdout)
