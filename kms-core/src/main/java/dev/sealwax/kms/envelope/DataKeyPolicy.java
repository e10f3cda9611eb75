package dev.sealwax.kms.envelope;

import dev.sealwax.kms.vocabulary.CachePolicy;
import java.time.Duration;
import java.util.Objects;

/**
 * How long a data key is used and how long it stays in memory, separately for encrypting and
 * decrypting. Immutable.
 *
 * <p>A data key encrypts until its messages, its bytes or its age (the hard time to live of the
 * encrypt cache) are used up, whichever comes first. The defaults end its use long before any bound
 * of SP 800-38D: there are 2<sup>24</sup> messages or 64 GiB in a key, and nonces do not repeat at
 * all.
 */
public final class DataKeyPolicy {
  /** Most messages that a policy may allow a data key: the limit of SP 800-38D §8.3 for one key. */
  public static final long MAX_MESSAGES = 1L << 32;

  /**
   * Most bytes that a policy may allow a data key, 64 TiB: 2<sup>42</sup> AES blocks, which keeps
   * the distance of CTR mode from random below 2<sup>-44</sup> (birthday bound).
   */
  public static final long MAX_BYTES = 1L << 46;

  private static final DataKeyPolicy DEFAULTS =
      new DataKeyPolicy(
          CachePolicy.of(Duration.ofMinutes(30), Duration.ofHours(1), 100_000),
          CachePolicy.of(Duration.ofMinutes(30), Duration.ofHours(1), 100_000),
          1L << 24,
          1L << 36);

  private final CachePolicy encryptCache;
  private final CachePolicy decryptCache;
  private final long maxMessages;
  private final long maxBytes;

  private DataKeyPolicy(
      CachePolicy encryptCache, CachePolicy decryptCache, long maxMessages, long maxBytes) {
    this.encryptCache = encryptCache;
    this.decryptCache = decryptCache;
    this.maxMessages = maxMessages;
    this.maxBytes = maxBytes;
  }

  /**
   * Both caches: renewed after 30 minutes, gone after an hour, 100,000 keys; 2<sup>24</sup>
   * messages, 64 GiB.
   */
  public static DataKeyPolicy defaults() {
    return DEFAULTS;
  }

  /** A fresh data key for every message, and none kept: the strict mode. */
  public static DataKeyPolicy singleUse() {
    return new DataKeyPolicy(CachePolicy.none(), CachePolicy.none(), 1, MAX_BYTES);
  }

  /**
   * The same policy with another cache of keys that encrypt; {@link CachePolicy#none()} makes a key
   * per message.
   *
   * @throws IllegalArgumentException if the policy has a window for outages, which is for key
   *     versions only
   */
  public DataKeyPolicy withEncryptCache(CachePolicy policy) {
    return new DataKeyPolicy(requireForDataKeys(policy), decryptCache, maxMessages, maxBytes);
  }

  /**
   * The same policy with another cache of keys that decrypt.
   *
   * @throws IllegalArgumentException if the policy has a window for outages, which is for key
   *     versions only
   */
  public DataKeyPolicy withDecryptCache(CachePolicy policy) {
    return new DataKeyPolicy(encryptCache, requireForDataKeys(policy), maxMessages, maxBytes);
  }

  private static CachePolicy requireForDataKeys(CachePolicy policy) {
    if (Objects.requireNonNull(policy, "policy").hasStaleOnOutage()) {
      throw new IllegalArgumentException(
          "data keys have no window for outages; give it to the policy of key versions");
    }
    return policy;
  }

  /**
   * The same policy with another number of messages per data key; a stream counts as one.
   *
   * @throws IllegalArgumentException if not within 1 and {@link #MAX_MESSAGES}
   */
  public DataKeyPolicy withMaxMessages(long messages) {
    if (messages < 1 || messages > MAX_MESSAGES) {
      throw new IllegalArgumentException(
          "messages per data key must be 1 to " + MAX_MESSAGES + ", got " + messages);
    }
    return new DataKeyPolicy(encryptCache, decryptCache, messages, maxBytes);
  }

  /**
   * The same policy with another number of plaintext bytes per data key. A message longer than that
   * gets a data key of its own; a stream, which has a key of its own below the data key, counts
   * nothing here.
   *
   * @throws IllegalArgumentException if not within 1 and {@link #MAX_BYTES}
   */
  public DataKeyPolicy withMaxBytes(long bytes) {
    if (bytes < 1 || bytes > MAX_BYTES) {
      throw new IllegalArgumentException(
          "bytes per data key must be 1 to " + MAX_BYTES + ", got " + bytes);
    }
    return new DataKeyPolicy(encryptCache, decryptCache, maxMessages, bytes);
  }

  public CachePolicy encryptCache() {
    return encryptCache;
  }

  public CachePolicy decryptCache() {
    return decryptCache;
  }

  public long maxMessages() {
    return maxMessages;
  }

  public long maxBytes() {
    return maxBytes;
  }

  @Override
  public String toString() {
    return String.format(
        "DataKeyPolicy[encrypt %s, decrypt %s, %d messages, %d bytes]",
        encryptCache, decryptCache, maxMessages, maxBytes);
  }
}
