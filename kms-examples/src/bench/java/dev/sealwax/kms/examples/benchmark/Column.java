package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.security.GeneralSecurityException;

/**
 * One competitor in a table: something that seals and opens whole messages under one key. Every
 * column authenticates the same 64 bytes beside the message, returns a new array, and is safe for
 * any thread.
 */
interface Column {
  /** What all columns authenticate; 64 bytes in its canonical form. */
  EncryptionContext CONTEXT =
      EncryptionContext.of("table", "orders", "row", String.format("%040d", 42));

  String name();

  byte[] encrypt(byte[] plaintext) throws GeneralSecurityException;

  byte[] decrypt(byte[] sealed) throws GeneralSecurityException;
}
