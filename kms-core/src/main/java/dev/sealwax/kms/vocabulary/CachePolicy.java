package dev.sealwax.kms.vocabulary;

import java.time.Duration;
import java.util.Objects;

/**
 * How long unwrapped keys may stay in memory, and how many.
 *
 * <p>An entry older than the soft time to live (spread by a random tenth so that a fleet does not
 * move in step) is renewed in the background while it keeps serving; an entry older than the hard
 * time to live serves nobody, unless {@link #withStaleOnOutage} allows it. So a failed renewal
 * hurts no request before the hard limit; but a root key that denies a key version, or says that it
 * is disabled, ends it at once, and the data keys under it. Times are kept to within a tenth of a
 * second. Immutable.
 */
public final class CachePolicy {
  private static final Duration LONGEST = Duration.ofDays(365);
  private static final CachePolicy NONE =
      new CachePolicy(Duration.ZERO, Duration.ZERO, 0, Duration.ZERO, Duration.ZERO);

  private final Duration softTtl;
  private final Duration hardTtl;
  private final int maximumEntries;
  private final Duration staleToEncrypt;
  private final Duration staleToDecrypt;

  private CachePolicy(
      Duration softTtl,
      Duration hardTtl,
      int maximumEntries,
      Duration staleToEncrypt,
      Duration staleToDecrypt) {
    this.softTtl = softTtl;
    this.hardTtl = hardTtl;
    this.maximumEntries = maximumEntries;
    this.staleToEncrypt = staleToEncrypt;
    this.staleToDecrypt = staleToDecrypt;
  }

  /**
   * Builds a policy.
   *
   * @param softTtl age from which an entry is renewed in the background; positive
   * @param hardTtl age from which an entry serves nobody; at least the soft time to live, at most
   *     365 days
   * @param maximumEntries how many entries are kept, at least 1; rarely used ones go first
   * @throws IllegalArgumentException if a value is outside its range
   */
  public static CachePolicy of(Duration softTtl, Duration hardTtl, int maximumEntries) {
    Objects.requireNonNull(softTtl, "soft time to live");
    Objects.requireNonNull(hardTtl, "hard time to live");
    if (softTtl.isNegative() || softTtl.isZero()) {
      throw new IllegalArgumentException("soft time to live must be positive, got " + softTtl);
    }
    if (hardTtl.compareTo(softTtl) < 0 || hardTtl.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException(
          "hard time to live must be within the soft one ("
              + softTtl
              + ") and 365 days, got "
              + hardTtl);
    }
    if (maximumEntries < 1) {
      throw new IllegalArgumentException(
          "maximum entries must be at least 1, got " + maximumEntries);
    }
    return new CachePolicy(softTtl, hardTtl, maximumEntries, Duration.ZERO, Duration.ZERO);
  }

  /**
   * The same policy, and in an outage of the root key an entry goes on serving beyond its hard time
   * to live for so long. For key versions only; data keys are made and unwrapped with these.
   *
   * <p>An outage is an attempt to unwrap the key version anew that has just failed as {@code
   * THROTTLED} or {@code UNAVAILABLE}. Any other answer of the root key ends it for the key version
   * at once, and so does a revocation that this process has seen; then an outage that follows
   * changes nothing. Meanwhile the root key is asked again about once a second.
   *
   * @param encrypt how long for encryption; zero for not at all
   * @param decrypt how long for decryption, rewrap and re-encryption; zero for not at all
   * @throws IllegalArgumentException if one is negative or longer than 365 days, or if nothing is
   *     kept
   */
  public CachePolicy withStaleOnOutage(Duration encrypt, Duration decrypt) {
    requireWindow(encrypt, "window to encrypt");
    requireWindow(decrypt, "window to decrypt");
    if (isNone()) {
      throw new IllegalArgumentException("a cache that keeps nothing has nothing for an outage");
    }
    return new CachePolicy(softTtl, hardTtl, maximumEntries, encrypt, decrypt);
  }

  private static void requireWindow(Duration window, String name) {
    Objects.requireNonNull(window, name);
    if (window.isNegative() || window.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException(name + " must be 0 to 365 days, got " + window);
    }
  }

  /** Nothing is kept: every use asks the layer below. */
  public static CachePolicy none() {
    return NONE;
  }

  /** Whether nothing is kept. */
  public boolean isNone() {
    return maximumEntries == 0;
  }

  public Duration softTtl() {
    return softTtl;
  }

  public Duration hardTtl() {
    return hardTtl;
  }

  public int maximumEntries() {
    return maximumEntries;
  }

  /** How long an entry goes on encrypting in an outage, beyond its hard time to live. */
  public Duration staleToEncrypt() {
    return staleToEncrypt;
  }

  /** How long an entry goes on decrypting in an outage, beyond its hard time to live. */
  public Duration staleToDecrypt() {
    return staleToDecrypt;
  }

  /** Whether an entry may serve beyond its hard time to live at all. */
  public boolean hasStaleOnOutage() {
    return !staleToEncrypt.isZero() || !staleToDecrypt.isZero();
  }

  @Override
  public String toString() {
    if (isNone()) {
      return "CachePolicy[none]";
    }
    String outage =
        hasStaleOnOutage()
            ? ", in an outage " + staleToEncrypt + " to encrypt, " + staleToDecrypt + " to decrypt"
            : "";
    return "CachePolicy[soft "
        + softTtl
        + ", hard "
        + hardTtl
        + ", "
        + maximumEntries
        + " entries"
        + outage
        + "]";
  }
}
