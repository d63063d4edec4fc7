"""Verifies receipts with other people's code: securesystemslib (DSSE), in-toto-attestation (Statement v1) and jsonschema.

Reads {"key": PEM, "schema": …, "envelopes": [TEXT, …]} from stdin, and writes one answer for each envelope: null when it
verifies, else the name of what was raised.
"""

import hashlib
import json
import sys

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from jsonschema import Draft202012Validator
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

asked = json.load(sys.stdin)
public = load_pem_public_key(asked["key"].encode())
der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
key = SSlibKey.from_crypto(public, keyid=hashlib.sha256(der).hexdigest())
Draft202012Validator.check_schema(asked["schema"])
schema = Draft202012Validator(asked["schema"])


def verify(text):
    envelope = Envelope.from_dict(json.loads(text))
    assert list(envelope.verify([key], 1)) == [key.keyid]
    if envelope.payload_type != "application/vnd.in-toto+json":
        raise ValueError("payloadType")
    statement = Statement.copy_from_pb(json_format.Parse(envelope.payload, statement_pb2.Statement()))
    statement.validate()
    schema.validate(json.loads(envelope.payload))
    job, subject = statement.pb.predicate["request"]["jobId"], statement.pb.subject[0]
    assert subject.name == job and subject.digest["sha256"] == hashlib.sha256(job.encode()).hexdigest()


def answer(text):
    try:
        verify(text)
    except Exception as error:  # whatever it is, the envelope was not accepted
        return type(error).__name__
    return None


json.dump([answer(text) for text in asked["envelopes"]], sys.stdout)
