"""Prints the vectors of docs/spec/local-root-key-v1.md, written from the text of that document.

Needs the package `cryptography` with Argon2id (OpenSSL 3.2 or later). From this directory:
    python3 local_root_key_vectors.py > ../resources/local-root-key-v1/vectors.properties
"""

import hmac
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id


def run(first, length):
    return bytes(range(first, first + length))


def hkdf(input_key, salt, info, length):
    pseudorandom_key = hmac.digest(salt, input_key, "sha256")
    out, block = b"", b""
    while len(out) < length:
        block = hmac.digest(pseudorandom_key, block + info + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:length]


def seal(input_key, label, salt, associated_data, secret):
    derived = hkdf(input_key, salt, label + b"\0", 64)
    return salt + derived[32:] + AESGCM(derived[:32]).encrypt(bytes(12), secret, associated_data)


def file(method, parameters, key_id, input_key, salt, root_key):
    header = b"SWXROOT" + bytes([1, method]) + struct.pack(">III", *parameters) + key_id
    return header + seal(input_key, b"sealwax/local-root-key/v1/file", salt, header, root_key)


def context(pairs):
    out = struct.pack(">H", len(pairs))
    for text in (part for pair in sorted(pairs.items()) for part in pair):
        out += struct.pack(">H", len(text.encode())) + text.encode()
    return out


def wrapped(key_id, root_key, salt, pairs, secret):
    associated_data = b"\x01" + key_id + context(pairs)
    return b"\x01" + seal(root_key, b"sealwax/local-root-key/v1/wrap", salt, associated_data, secret)


SEALING_KEY, ROOT_KEY, KEY_ID = run(0x00, 32), run(0x20, 32), run(0x40, 16)
FILE_SALT, WRAP_SALT, SECRET = run(0x50, 32), run(0x70, 32), run(0x90, 64)
PASSPHRASE = "correct horse b\u00e4ttery \U0001f40e"
PAIRS = {"sealwax": "key-version/v1", "keyset": "orders", "version": "1"}
COST = (19456, 3, 2)

stretched = Argon2id(
    salt=FILE_SALT, length=32, iterations=COST[1], lanes=COST[2], memory_cost=COST[0]
).derive(PASSPHRASE.encode())

vectors = {
    "sealingKey": SEALING_KEY,
    "passphraseUtf8": PASSPHRASE.encode(),
    "rootKeyId": KEY_ID,
    "fileBySealingKey": file(2, (0, 0, 0), KEY_ID, SEALING_KEY, FILE_SALT, ROOT_KEY),
    "fileByPassphrase": file(1, COST, KEY_ID, stretched, FILE_SALT, ROOT_KEY),
    "wrapped": wrapped(KEY_ID, ROOT_KEY, WRAP_SALT, PAIRS, SECRET),
    "secret": SECRET,
    "wrappedEmptyContext": wrapped(KEY_ID, ROOT_KEY, WRAP_SALT, {}, SECRET[:1]),
    "secretOfEmptyContext": SECRET[:1],
}
for name, value in vectors.items():
    print(f"{name}={value.hex()}")
