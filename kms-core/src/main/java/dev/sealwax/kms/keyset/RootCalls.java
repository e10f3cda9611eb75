package dev.sealwax.kms.keyset;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.concurrent.atomic.LongAdder;

/**
 * The only place that calls a root key: binds what it wraps to keyset and version, counts and
 * reports the calls.
 *
 * <p>The root key stays its caller's. Safe for any thread.
 */
final class RootCalls {
  private final RootKey rootKey;
  private final KeysetEvents events;
  private final LongAdder wraps;
  private final LongAdder unwraps;

  RootCalls(RootKey rootKey, KeysetEvents events) {
    this(rootKey, events, new LongAdder(), new LongAdder());
  }

  private RootCalls(RootKey rootKey, KeysetEvents events, LongAdder wraps, LongAdder unwraps) {
    this.rootKey = rootKey;
    this.events = events;
    this.wraps = wraps;
    this.unwraps = unwraps;
  }

  /** The same counters over another root key. */
  RootCalls over(RootKey other) {
    return new RootCalls(other, events, wraps, unwraps);
  }

  WrappedKey wrap(KeysetId keyset, int version, VersionSecret secret) {
    return events.reporting(
        Operation.ROOT_WRAP,
        keyset,
        version,
        () -> {
          WrappedKey wrapped =
              secret.use(material -> rootKey.wrap(material, context(keyset, version)));
          wraps.increment();
          return wrapped;
        });
  }

  /**
   * Unwraps a key version; the caller closes the result.
   *
   * @throws KeysetCorruptedException if the root key finds the stored bytes altered, or made for
   *     something else
   * @throws RootKeyException if the root key cannot tell
   */
  VersionSecret unwrap(KeysetId keyset, int version, WrappedKey wrapped) {
    return events.reporting(
        Operation.ROOT_UNWRAP, keyset, version, () -> unwrapNow(keyset, version, wrapped));
  }

  private VersionSecret unwrapNow(KeysetId keyset, int version, WrappedKey wrapped) {
    KeyMaterial material;
    try {
      material = rootKey.unwrap(wrapped, context(keyset, version));
    } catch (RootKeyException e) {
      if (e.reason() == RootKeyException.Reason.INVALID_CIPHERTEXT) {
        throw new KeysetCorruptedException(
            keyset, "the root key rejects the wrapped key of version " + version, e);
      }
      throw e;
    }
    unwraps.increment();
    if (material.lengthBytes() != VersionSecret.BYTES) {
      int length = material.lengthBytes();
      material.close();
      throw new KeysetCorruptedException(
          keyset,
          "version " + version + " unwraps to " + length + " bytes, not " + VersionSecret.BYTES,
          null);
    }
    return new VersionSecret(material);
  }

  private static EncryptionContext context(KeysetId keyset, int version) {
    return EncryptionContext.of(
        "sealwax",
        "key-version/v1",
        "keyset",
        keyset.value(),
        "version",
        Integer.toString(version));
  }

  long wraps() {
    return wraps.sum();
  }

  long unwraps() {
    return unwraps.sum();
  }
}
