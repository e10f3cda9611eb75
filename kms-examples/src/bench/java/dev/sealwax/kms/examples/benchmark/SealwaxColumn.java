package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.envelope.EnvelopeCipher;

/** Sealwax: a whole envelope per message, its data key cached. */
final class SealwaxColumn implements Column {
  private final String name;
  private final EnvelopeCipher cipher;

  SealwaxColumn(String name, EnvelopeCipher cipher) {
    this.name = name;
    this.cipher = cipher;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public byte[] encrypt(byte[] plaintext) {
    return cipher.encrypt(plaintext, CONTEXT);
  }

  @Override
  public byte[] decrypt(byte[] sealed) {
    return cipher.decrypt(sealed, CONTEXT);
  }
}
