package dev.sealwax.kms.keyset;

import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * When the primary of a keyset should be replaced: by its age, by the messages or the bytes
 * encrypted under it, by whichever of them comes first, or by hand only. Immutable; safe for any
 * thread.
 *
 * <p>Messages and bytes are counted for the whole fleet, in the stored keyset. How far the count
 * may be off is said in keyset-v1 §4.1. Whatever they say, a version is primary for {@link
 * #MIN_AGE} at least: a keyset has room for {@link Keyset#MAX_VERSIONS} versions.
 */
public final class RotationPolicy {
  /** Shortest age, and shortest time between two rotations by messages or bytes. */
  // A document keeps every version: a rotation per day fills it in under three years.
  public static final Duration MIN_AGE = Duration.ofDays(1);

  /** Longest age. */
  // NIST SP 800-57 part 1 rev. 5, table 1: symmetric key-wrapping key, originator usage period up
  // to 2 years.
  public static final Duration MAX_AGE = Duration.ofDays(730);

  /** Fewest messages. The 128th part, a report to the store, then stands for 1,024. */
  public static final long MIN_MESSAGES = 1L << 17;

  /** Fewest bytes. The 128th part, a report to the store, then stands for 1 MiB. */
  public static final long MIN_BYTES = 1L << 27;

  /** Most messages or bytes: the largest integer that every JSON implementation keeps exactly. */
  public static final long MAX_COUNT = (1L << 53) - 1;

  /** Shortest propagation delay: twenty times the refresh interval that a {@code Kms} has. */
  public static final Duration MIN_PROPAGATION_DELAY = Duration.ofSeconds(10);

  /** Longest propagation delay. */
  public static final Duration MAX_PROPAGATION_DELAY = Duration.ofDays(7);

  private static final RotationPolicy MANUAL =
      new RotationPolicy(null, 0, 0, Duration.ofMinutes(1));
  private static final RotationPolicy DEFAULTS = MANUAL.afterAge(Duration.ofDays(90));

  private final @Nullable Duration age;
  private final long messages; // 0 for any number, as is bytes
  private final long bytes;
  private final Duration propagationDelay;

  private RotationPolicy(
      @Nullable Duration age, long messages, long bytes, Duration propagationDelay) {
    this.age = age;
    this.messages = messages;
    this.bytes = bytes;
    this.propagationDelay = propagationDelay;
  }

  /** After 90 days; a new version is published a minute before it becomes the primary. */
  public static RotationPolicy defaults() {
    return DEFAULTS;
  }

  /** Never by itself. Add limits to have others than the defaults. */
  public static RotationPolicy manual() {
    return MANUAL;
  }

  /**
   * The same policy that also replaces a version once it has been primary for so long.
   *
   * @throws IllegalArgumentException unless it is whole seconds within 1 and 730 days (two years,
   *     the longest that NIST SP 800-57 part 1 gives a key-wrapping key)
   */
  public RotationPolicy afterAge(Duration age) {
    requireWithin("rotation age", age, MIN_AGE, MAX_AGE);
    return new RotationPolicy(age, messages, bytes, propagationDelay);
  }

  /**
   * The same policy that also replaces a version once all processes together have encrypted so many
   * messages under it; a stream is one.
   *
   * @throws IllegalArgumentException if not within {@link #MIN_MESSAGES} and {@link #MAX_COUNT}
   */
  public RotationPolicy afterMessages(long messages) {
    requireWithin("messages before rotation", messages, MIN_MESSAGES);
    return new RotationPolicy(age, messages, bytes, propagationDelay);
  }

  /**
   * The same policy that also replaces a version once all processes together have encrypted so many
   * bytes of plaintext under it; those of streams as they are sealed.
   *
   * @throws IllegalArgumentException if not within {@link #MIN_BYTES} and {@link #MAX_COUNT}
   */
  public RotationPolicy afterBytes(long bytes) {
    requireWithin("bytes before rotation", bytes, MIN_BYTES);
    return new RotationPolicy(age, messages, bytes, propagationDelay);
  }

  /**
   * The same policy with another time between the publication of a version and its promotion, in
   * which every process learns of it. Longer than the refresh interval of every process.
   *
   * @throws IllegalArgumentException unless it is whole seconds within {@link
   *     #MIN_PROPAGATION_DELAY} and {@link #MAX_PROPAGATION_DELAY}
   */
  public RotationPolicy withPropagationDelay(Duration delay) {
    requireWithin("propagation delay", delay, MIN_PROPAGATION_DELAY, MAX_PROPAGATION_DELAY);
    return new RotationPolicy(age, messages, bytes, delay);
  }

  static void requireWithin(String name, Duration value, Duration min, Duration max) {
    Objects.requireNonNull(value, name);
    if (value.compareTo(min) < 0 || value.compareTo(max) > 0 || value.toNanosPart() != 0) {
      throw new IllegalArgumentException(
          String.format(
              "%s must be whole seconds within %s and %s, got %s",
              name, inWords(min), inWords(max), value));
    }
  }

  private static String inWords(Duration bound) {
    return bound.compareTo(Duration.ofDays(1)) < 0
        ? bound.toSeconds() + " seconds"
        : bound.toDays() + " days";
  }

  private static void requireWithin(String name, long value, long min) {
    if (value < min || value > MAX_COUNT) {
      throw new IllegalArgumentException(
          String.format("%s must be %d to %d, got %d", name, min, MAX_COUNT, value));
    }
  }

  /** How long a version may be primary, if that is limited. */
  public Optional<Duration> age() {
    return Optional.ofNullable(age);
  }

  /** How many messages a version may encrypt, if that is limited. */
  public OptionalLong messages() {
    return optional(messages);
  }

  /** How many bytes a version may encrypt, if that is limited. */
  public OptionalLong bytes() {
    return optional(bytes);
  }

  private static OptionalLong optional(long limit) {
    return limit == 0 ? OptionalLong.empty() : OptionalLong.of(limit);
  }

  /** How long a published version waits before it may be promoted by itself. */
  public Duration propagationDelay() {
    return propagationDelay;
  }

  /** Whether nothing of it ever calls for a rotation. */
  boolean isManual() {
    return age == null && !counts();
  }

  /** When to replace a version that expires, so that encryption does not stop. */
  Instant beforeExpiry(Instant expiresAt) {
    Duration twice = propagationDelay.multipliedBy(2);
    return expiresAt.minus(twice.compareTo(MIN_AGE) > 0 ? twice : MIN_AGE);
  }

  /** Whether messages or bytes matter, so that they have to be counted. */
  boolean counts() {
    return messages != 0 || bytes != 0;
  }

  /** Whether that much use of a version calls for another. */
  boolean isReachedBy(long messagesUsed, long bytesUsed) {
    return (messages != 0 && messagesUsed >= messages) || (bytes != 0 && bytesUsed >= bytes);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof RotationPolicy policy
        && Objects.equals(age, policy.age)
        && messages == policy.messages
        && bytes == policy.bytes
        && propagationDelay.equals(policy.propagationDelay);
  }

  @Override
  public int hashCode() {
    return Objects.hash(age, messages, bytes, propagationDelay);
  }

  @Override
  public String toString() {
    return "RotationPolicy["
        + (age == null ? "" : "after " + age + ", ")
        + (messages == 0 ? "" : "after " + messages + " messages, ")
        + (bytes == 0 ? "" : "after " + bytes + " bytes, ")
        + (isManual() ? "manual, " : "")
        + "propagation delay "
        + propagationDelay
        + "]";
  }
}
