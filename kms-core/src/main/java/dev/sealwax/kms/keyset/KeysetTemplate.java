package dev.sealwax.kms.keyset;

import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a new keyset is to be like: AES-256 keys, its owner, how often it rotates and how long a
 * destruction can be cancelled. Immutable; safe for any thread.
 */
public final class KeysetTemplate {
  /** Longest owner, in characters. */
  public static final int MAX_OWNER_LENGTH = 128;

  // A document keeps every version, so less than a day would fill it within months.
  private static final Duration MIN_ROTATION_PERIOD = Duration.ofDays(1);
  // NIST SP 800-57 part 1 rev. 5, table 1: symmetric key-wrapping key, originator usage period up
  // to 2 years.
  private static final Duration MAX_ROTATION_PERIOD = Duration.ofDays(730);
  // The bounds of AWS KMS ScheduleKeyDeletion: a week to hear from whoever still needs the key.
  private static final Duration MIN_DESTRUCTION_WINDOW = Duration.ofDays(7);
  private static final Duration MAX_DESTRUCTION_WINDOW = Duration.ofDays(30);

  private static final KeysetTemplate DEFAULTS =
      new KeysetTemplate(null, Duration.ofDays(90), Duration.ofDays(30));

  private final @Nullable String owner;
  private final Duration rotationPeriod;
  private final Duration destructionWindow;

  private KeysetTemplate(
      @Nullable String owner, Duration rotationPeriod, Duration destructionWindow) {
    this.owner = owner;
    this.rotationPeriod = rotationPeriod;
    this.destructionWindow = destructionWindow;
  }

  /** No owner, rotation every 90 days, destruction after 30 days. */
  public static KeysetTemplate defaults() {
    return DEFAULTS;
  }

  /**
   * Names whoever answers for the keyset, for instance a team or a mailbox.
   *
   * @throws IllegalArgumentException unless it is 1 to {@value #MAX_OWNER_LENGTH} printable ASCII
   *     characters
   */
  public KeysetTemplate withOwner(String owner) {
    Objects.requireNonNull(owner, "owner");
    if (owner.isEmpty() || owner.length() > MAX_OWNER_LENGTH) {
      throw new IllegalArgumentException(
          "owner must have 1 to " + MAX_OWNER_LENGTH + " characters, got " + owner.length());
    }
    for (int i = 0; i < owner.length(); i++) {
      if (owner.charAt(i) < 0x20 || owner.charAt(i) > 0x7e) {
        throw new IllegalArgumentException(
            String.format(
                "owner must be printable ASCII; character %d is U+%04X", i, (int) owner.charAt(i)));
      }
    }
    return new KeysetTemplate(owner, rotationPeriod, destructionWindow);
  }

  /**
   * Sets how long a version is primary before it should be replaced.
   *
   * @throws IllegalArgumentException unless it is whole seconds within 1 and 730 days (two years,
   *     the longest that NIST SP 800-57 part 1 gives a key-wrapping key)
   */
  public KeysetTemplate withRotationPeriod(Duration rotationPeriod) {
    requireWithin("rotation period", rotationPeriod, MIN_ROTATION_PERIOD, MAX_ROTATION_PERIOD);
    return new KeysetTemplate(owner, rotationPeriod, destructionWindow);
  }

  /**
   * Sets how long a scheduled destruction can be cancelled.
   *
   * @throws IllegalArgumentException unless it is whole seconds within 7 and 30 days
   */
  public KeysetTemplate withDestructionWindow(Duration destructionWindow) {
    requireDestructionWindow(destructionWindow);
    return new KeysetTemplate(owner, rotationPeriod, destructionWindow);
  }

  static void requireDestructionWindow(Duration window) {
    requireWithin("destruction window", window, MIN_DESTRUCTION_WINDOW, MAX_DESTRUCTION_WINDOW);
  }

  private static void requireWithin(String name, Duration value, Duration min, Duration max) {
    Objects.requireNonNull(value, name);
    if (value.compareTo(min) < 0 || value.compareTo(max) > 0 || value.getNano() != 0) {
      throw new IllegalArgumentException(
          String.format(
              "%s must be whole seconds within %d and %d days, got %s",
              name, min.toDays(), max.toDays(), value));
    }
  }

  public Optional<String> owner() {
    return Optional.ofNullable(owner);
  }

  public Duration rotationPeriod() {
    return rotationPeriod;
  }

  public Duration destructionWindow() {
    return destructionWindow;
  }

  @Override
  public String toString() {
    return "KeysetTemplate[owner "
        + (owner == null ? "none" : owner)
        + ", rotation "
        + rotationPeriod
        + ", destruction window "
        + destructionWindow
        + "]";
  }
}
