"""Prints the values that WrappedBlobTest expects, computed by Python (hmac, and the package "cryptography")."""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def label(text):
    return text.encode() + b"\0"


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


seed = bytes(range(32))
key_id = bytes.fromhex("00112233445566778899aabbccddeeff")
context = bytes.fromhex("0001") + b"\x00\x01k\x00\x01v"
header = bytes([1, 3, len(key_id)]) + key_id
binding = hashlib.sha256(label("sealwax/pkcs11-root-key/v1/binding") + header + context).digest()
pseudorandom_key = mac(label("sealwax/pkcs11-root-key/v1/seed"), seed)
key = mac(pseudorandom_key, binding + b"\x01")
commitment = mac(pseudorandom_key, key + binding + b"\x02")
sealed = commitment + AESGCM(key).encrypt(bytes(12), b"the secret of the vector", binding)
protected = bytes(range(40))
authored = hashlib.sha256(
    label("sealwax/pkcs11-root-key/v1/author") + binding + bytes([0, 40]) + protected + sealed
).digest()

print("binding ", binding.hex())
print("sealed  ", sealed.hex())
print("authored", authored.hex())
