package dev.sealwax.kms.keyset;

import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a new keyset is to be like: AES-256 keys, its owner, when it rotates and how long a
 * destruction can be cancelled. Immutable; safe for any thread.
 */
public final class KeysetTemplate {
  /** Longest owner, in characters. */
  public static final int MAX_OWNER_LENGTH = 128;

  // The bounds of AWS KMS ScheduleKeyDeletion: a week to hear from whoever still needs the key.
  private static final Duration MIN_DESTRUCTION_WINDOW = Duration.ofDays(7);
  private static final Duration MAX_DESTRUCTION_WINDOW = Duration.ofDays(30);

  private static final KeysetTemplate DEFAULTS =
      new KeysetTemplate(null, RotationPolicy.defaults(), Duration.ofDays(30));

  private final @Nullable String owner;
  private final RotationPolicy rotationPolicy;
  private final Duration destructionWindow;

  private KeysetTemplate(
      @Nullable String owner, RotationPolicy rotationPolicy, Duration destructionWindow) {
    this.owner = owner;
    this.rotationPolicy = rotationPolicy;
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
    return new KeysetTemplate(owner, rotationPolicy, destructionWindow);
  }

  /**
   * Sets when the primary should be replaced; {@link Keysets#setRotationPolicy} changes it later.
   */
  public KeysetTemplate withRotationPolicy(RotationPolicy policy) {
    return new KeysetTemplate(
        owner, Objects.requireNonNull(policy, "rotation policy"), destructionWindow);
  }

  /**
   * Sets how long a scheduled destruction can be cancelled.
   *
   * @throws IllegalArgumentException unless it is whole seconds within 7 and 30 days
   */
  public KeysetTemplate withDestructionWindow(Duration destructionWindow) {
    requireDestructionWindow(destructionWindow);
    return new KeysetTemplate(owner, rotationPolicy, destructionWindow);
  }

  static void requireDestructionWindow(Duration window) {
    RotationPolicy.requireWithin(
        "destruction window", window, MIN_DESTRUCTION_WINDOW, MAX_DESTRUCTION_WINDOW);
  }

  public Optional<String> owner() {
    return Optional.ofNullable(owner);
  }

  public RotationPolicy rotationPolicy() {
    return rotationPolicy;
  }

  public Duration destructionWindow() {
    return destructionWindow;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof KeysetTemplate template
        && Objects.equals(owner, template.owner)
        && rotationPolicy.equals(template.rotationPolicy)
        && destructionWindow.equals(template.destructionWindow);
  }

  @Override
  public int hashCode() {
    return Objects.hash(owner, rotationPolicy, destructionWindow);
  }

  @Override
  public String toString() {
    return "KeysetTemplate[owner "
        + (owner == null ? "none" : owner)
        + ", "
        + rotationPolicy
        + ", destruction window "
        + destructionWindow
        + "]";
  }
}
