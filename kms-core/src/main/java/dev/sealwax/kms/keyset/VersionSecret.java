package dev.sealwax.kms.keyset;

import dev.sealwax.kms.crypto.KeyWrap;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.function.Function;

/**
 * What the root key wraps for one key version: the key-encryption key, then the document key
 * (keyset-v1 §2).
 *
 * <p>Lives between unwrapping and putting the parts where they belong. Used by one thread; close it
 * soon.
 */
final class VersionSecret implements AutoCloseable {
  static final int BYTES = KeyWrap.KEY_BYTES + DocumentKey.BYTES;

  private static final int DOCUMENT_KEY_POS = KeyWrap.KEY_BYTES;

  private final KeyMaterial material;

  /** Takes {@code material} over, which has {@link #BYTES} bytes. */
  VersionSecret(KeyMaterial material) {
    this.material = material;
  }

  /** A new key-encryption key beside an existing document key. */
  static VersionSecret generate(SecureRandom random, DocumentKey documentKey) {
    byte[] bytes = new byte[BYTES];
    random.nextBytes(bytes);
    documentKey.copyTo(bytes, DOCUMENT_KEY_POS);
    return new VersionSecret(KeyMaterial.owning(bytes));
  }

  /** The same key-encryption key beside another document key. */
  VersionSecret with(DocumentKey documentKey) {
    return material.use(
        bytes -> {
          byte[] copy = bytes.clone();
          documentKey.copyTo(copy, DOCUMENT_KEY_POS);
          return new VersionSecret(KeyMaterial.owning(copy));
        });
  }

  /** Its key-encryption key, ready to wrap data keys. */
  KeyEncryptionKey keyEncryptionKey(int version) {
    return material.use(
        bytes -> {
          byte[] key = Arrays.copyOf(bytes, KeyWrap.KEY_BYTES);
          try {
            return new KeyEncryptionKey(version, KeyWrap.of(key));
          } finally {
            Arrays.fill(key, (byte) 0);
          }
        });
  }

  /** Its document key; the caller closes it. */
  DocumentKey documentKey() {
    return material.use(bytes -> DocumentKey.copyOf(bytes, DOCUMENT_KEY_POS));
  }

  boolean belongsWith(DocumentKey documentKey) {
    return material.use(bytes -> documentKey.isAt(bytes, DOCUMENT_KEY_POS));
  }

  /** Lends the material, which stays this object's. */
  <T> T use(Function<KeyMaterial, T> user) {
    return user.apply(material);
  }

  @Override
  public void close() {
    material.close();
  }
}
