package dev.sealwax.kms.envelope;

import dev.sealwax.kms.crypto.ChunkedKey;
import dev.sealwax.kms.crypto.GcmKey;
import dev.sealwax.kms.crypto.Hkdf;
import dev.sealwax.kms.crypto.UsageBudget;
import dev.sealwax.kms.keyset.KeyEncryptionKey;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.RootConsent;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A data key ready for use: the header that every envelope under it starts with, and the key
 * derived from it for its suite.
 *
 * <p>The data key itself is wiped before the constructor returns; what stays is the message key.
 * Counts its owners (the encrypt cache, the decrypt cache, or one caller) and wipes when the last
 * one closes. Safe for concurrent use.
 */
final class DataKey implements AutoCloseable {
  static final int DATA_KEY_BYTES = 32;

  private static final byte[] MESSAGE_KEY_LABEL = Hkdf.label("sealwax/envelope/v1/message-key");
  private static final byte[] COMMITMENT_LABEL = Hkdf.label("sealwax/envelope/v1/commitment");

  private final EnvelopeHeader header;
  private final RootConsent consent;
  private final @Nullable GcmKey messages;
  private final @Nullable ChunkedKey streams;
  private final AtomicInteger owners = new AtomicInteger(1);
  private final AtomicBoolean shared = new AtomicBoolean();

  // The last snapshots under which the version was found fit for the use. Racy on purpose:
  // snapshots are immutable, and reading an older one only repeats the check.
  private @Nullable Keyset fitToEncrypt;
  private @Nullable Keyset fitToDecrypt;

  // Until when the cipher that remembers it need not ask the cache for it; of no meaning before.
  private volatile long toEncryptUntilNanos;
  private volatile long toDecryptUntilNanos;
  private volatile boolean dropped; // by one of its owners, or all
  private volatile @Nullable KeysAtHand rememberedBy;

  private DataKey(
      EnvelopeHeader header,
      byte[] dataKey,
      RootConsent consent,
      UsageBudget budget,
      Traffic traffic) {
    this.header = header;
    this.consent = consent;
    byte[] messageKey = derive(MESSAGE_KEY_LABEL, dataKey, header.suite(), header.keyset());
    this.messages =
        header.suite() == AlgorithmSuite.ONE_SHOT
            ? new GcmKey(messageKey, budget, traffic.sealed(), traffic.opened())
            : null;
    this.streams =
        header.suite() == AlgorithmSuite.CHUNKED ? new ChunkedKey(messageKey, budget) : null;
    Arrays.fill(messageKey, (byte) 0);
  }

  /** Makes a new data key and wraps it under {@code kek}. */
  static DataKey generate(
      AlgorithmSuite suite,
      KeysetId keyset,
      KeyEncryptionKey kek,
      RootConsent consent,
      UsageBudget budget,
      SecureRandom random,
      Traffic traffic) {
    byte[] dataKey = new byte[DATA_KEY_BYTES];
    try {
      random.nextBytes(dataKey);
      byte[] commitment = commitment(dataKey, suite, keyset);
      EnvelopeHeader header =
          EnvelopeHeader.of(suite, keyset, kek.version(), kek.wrap(dataKey), commitment);
      return new DataKey(header, dataKey, consent, budget, traffic);
    } finally {
      Arrays.fill(dataKey, (byte) 0);
    }
  }

  /**
   * Unwraps the data key of {@code header}; it will only decrypt.
   *
   * @throws DecryptionFailedException if the wrapped key or its commitment is not authentic
   */
  static DataKey unwrap(
      EnvelopeHeader header, KeyEncryptionKey kek, RootConsent consent, Traffic traffic) {
    byte[] dataKey = unwrapChecked(header, kek);
    try {
      return new DataKey(header, dataKey, consent, new UsageBudget(0, 0), traffic);
    } finally {
      Arrays.fill(dataKey, (byte) 0);
    }
  }

  /**
   * The bare data key of {@code header}; the caller wipes it.
   *
   * @throws DecryptionFailedException if the wrapped key or its commitment is not authentic
   */
  static byte[] unwrapChecked(EnvelopeHeader header, KeyEncryptionKey kek) {
    byte[] dataKey = kek.unwrap(header.encoded(), header.wrappedDataKeyPosition());
    // spec: ENV-19. Checked before the key is used for anything, so an envelope opens under
    // one data key only.
    if (!MessageDigest.isEqual(
        header.commitment(), commitment(dataKey, header.suite(), header.keyset()))) {
      Arrays.fill(dataKey, (byte) 0);
      throw new DecryptionFailedException();
    }
    return dataKey;
  }

  private static byte[] commitment(byte[] dataKey, AlgorithmSuite suite, KeysetId keyset) {
    return derive(COMMITMENT_LABEL, dataKey, suite, keyset);
  }

  private static byte[] derive(
      byte[] label, byte[] dataKey, AlgorithmSuite suite, KeysetId keyset) {
    byte[] name = keyset.value().getBytes(StandardCharsets.US_ASCII);
    byte[] info = Arrays.copyOf(label, label.length + 2 + name.length);
    info[label.length] = (byte) suite.id();
    info[label.length + 1] = (byte) name.length;
    System.arraycopy(name, 0, info, label.length + 2, name.length);
    return Hkdf.expand(dataKey, info, 32);
  }

  EnvelopeHeader header() {
    return header;
  }

  /** The key of the one-shot suite. */
  GcmKey messages() {
    if (messages == null) {
      throw new IllegalStateException("data key is for " + header.suite());
    }
    return messages;
  }

  /** The key of the chunked suite. */
  ChunkedKey streams() {
    if (streams == null) {
      throw new IllegalStateException("data key is for " + header.suite());
    }
    return streams;
  }

  /** Whether the root key has denied the key version since. */
  boolean isWithdrawn() {
    return consent.isWithdrawn();
  }

  boolean isFitToEncrypt(Keyset snapshot) {
    return fitToEncrypt == snapshot;
  }

  void markFitToEncrypt(Keyset snapshot) {
    fitToEncrypt = snapshot;
  }

  boolean isFitToDecrypt(Keyset snapshot) {
    return fitToDecrypt == snapshot;
  }

  void markFitToDecrypt(Keyset snapshot) {
    fitToDecrypt = snapshot;
  }

  /** False also once a cache has dropped it, be it that another still owns it. */
  boolean isAtHandToEncrypt(long nowNanos) {
    return nowNanos - toEncryptUntilNanos < 0 && !dropped;
  }

  boolean isAtHandToDecrypt(long nowNanos) {
    return nowNanos - toDecryptUntilNanos < 0;
  }

  /** Notes until when {@code cipher}, which lets go of this key once it is wiped, believes it. */
  void rememberedToEncrypt(KeysAtHand cipher, long untilNanos) {
    toEncryptUntilNanos = untilNanos;
    rememberedBy = cipher;
  }

  /** As {@link #rememberedToEncrypt}. */
  void rememberedToDecrypt(KeysAtHand cipher, long untilNanos) {
    toDecryptUntilNanos = untilNanos;
    rememberedBy = cipher;
  }

  /**
   * Counts a second owner, who will {@link #close}; false if there was one before, or the key is
   * wiped already.
   */
  boolean shareOnce() {
    if (shared.getAndSet(true)) {
      return false;
    }
    while (true) {
      int count = owners.get();
      if (count == 0) {
        return false;
      }
      if (owners.compareAndSet(count, count + 1)) {
        return true;
      }
    }
  }

  /** Whether one of its owners has let go of it. */
  boolean isDropped() {
    return dropped;
  }

  boolean isWiped() {
    return owners.get() == 0;
  }

  @Override
  public void close() {
    dropped = true;
    if (owners.decrementAndGet() == 0) {
      if (messages != null) {
        messages.close();
      }
      if (streams != null) {
        streams.close();
      }
      KeysAtHand cipher = rememberedBy;
      if (cipher != null) {
        cipher.forget(this);
      }
    }
  }
}
