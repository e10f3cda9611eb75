package dev.sealwax.kms.vocabulary;

import java.time.Duration;
import java.util.Objects;

/**
 * How long unwrapped keys may stay in memory, and how many.
 *
 * <p>An entry older than the soft time to live (spread by a random tenth so that a fleet does not
 * move in step) is renewed in the background while it keeps serving; an entry older than the hard
 * time to live serves nobody. So a failed renewal hurts no request before the hard limit. Times are
 * kept to within a tenth of a second. Immutable.
 */
public final class CachePolicy {
  private static final CachePolicy NONE = new CachePolicy(Duration.ZERO, Duration.ZERO, 0);

  private final Duration softTtl;
  private final Duration hardTtl;
  private final int maximumEntries;

  private CachePolicy(Duration softTtl, Duration hardTtl, int maximumEntries) {
    this.softTtl = softTtl;
    this.hardTtl = hardTtl;
    this.maximumEntries = maximumEntries;
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
    if (hardTtl.compareTo(softTtl) < 0 || hardTtl.compareTo(Duration.ofDays(365)) > 0) {
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
    return new CachePolicy(softTtl, hardTtl, maximumEntries);
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

  @Override
  public String toString() {
    return isNone()
        ? "CachePolicy[none]"
        : "CachePolicy[soft " + softTtl + ", hard " + hardTtl + ", " + maximumEntries + " entries]";
  }
}
