package dev.sealwax.kms.keyset;

/** What an operation wants a key version for. Which state allows which use is keyset-v1 §4. */
public enum KeyUse {
  /** Wrap data keys of new envelopes; only the primary is asked to. */
  ENCRYPT,
  /** Open an envelope and hand its plaintext to the caller. */
  DECRYPT,
  /** Open the wrapped data key of an envelope to wrap it under the primary. */
  REWRAP,
  /** Open an envelope to encrypt its plaintext anew under a fresh data key and the primary. */
  REENCRYPT
}
