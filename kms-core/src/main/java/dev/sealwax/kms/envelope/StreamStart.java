package dev.sealwax.kms.envelope;

import dev.sealwax.kms.crypto.ChunkCipher;

/** What a chunked message starts with. Whoever receives it owns the cipher. */
final class StreamStart {
  private final EnvelopeHeader header;
  private final byte[] salt;
  private final ChunkCipher cipher;

  StreamStart(EnvelopeHeader header, byte[] salt, ChunkCipher cipher) {
    this.header = header;
    this.salt = salt;
    this.cipher = cipher;
  }

  EnvelopeHeader header() {
    return header;
  }

  /** The salt itself, never changed. */
  byte[] salt() {
    return salt;
  }

  ChunkCipher cipher() {
    return cipher;
  }
}
