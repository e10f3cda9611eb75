package dev.sealwax.kms.keyset;

import dev.sealwax.kms.rootkey.RootKeyRule;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a new keyset is to be like: AES-256 keys, its owner, when it rotates and how long a
 * destruction can be cancelled. Immutable; safe for any thread.
 */
public final class KeysetTemplate {
  /** Longest owner, and longest reason of a hold or an override, in characters. */
  public static final int MAX_TEXT_LENGTH = 128;

  // Use is known to the day, and a year without any is long enough for everybody.
  private static final Duration MIN_QUIET_PERIOD = Duration.ofDays(1);
  private static final Duration MAX_QUIET_PERIOD = Duration.ofDays(365);

  // The bounds of AWS KMS ScheduleKeyDeletion: a week to hear from whoever still needs the key.
  private static final Duration MIN_DESTRUCTION_WINDOW = Duration.ofDays(7);
  private static final Duration MAX_DESTRUCTION_WINDOW = Duration.ofDays(30);

  private static final KeysetTemplate DEFAULTS =
      new KeysetTemplate(
          null, RotationPolicy.defaults(), Duration.ofDays(30), null, RootKeyRule.any());

  private final @Nullable String owner;
  private final RotationPolicy rotationPolicy;
  private final Duration destructionWindow;
  private final @Nullable Duration quietPeriod;
  private final RootKeyRule rootKeyRule;

  private KeysetTemplate(
      @Nullable String owner,
      RotationPolicy rotationPolicy,
      Duration destructionWindow,
      @Nullable Duration quietPeriod,
      RootKeyRule rootKeyRule) {
    this.owner = owner;
    this.rotationPolicy = rotationPolicy;
    this.destructionWindow = destructionWindow;
    this.quietPeriod = quietPeriod;
    this.rootKeyRule = rootKeyRule;
  }

  /**
   * No owner, rotation every 90 days (by whoever runs {@code Kms.startScheduler}, else by hand),
   * destruction after 30 days.
   */
  public static KeysetTemplate defaults() {
    return DEFAULTS;
  }

  /**
   * Names whoever answers for the keyset, for instance a team or a mailbox.
   *
   * @throws IllegalArgumentException unless it is 1 to {@value #MAX_TEXT_LENGTH} printable ASCII
   *     characters
   */
  public KeysetTemplate withOwner(String owner) {
    requireText("owner", owner);
    return new KeysetTemplate(owner, rotationPolicy, destructionWindow, quietPeriod, rootKeyRule);
  }

  static void requireText(String what, String text) {
    Objects.requireNonNull(text, what);
    if (text.isEmpty() || text.length() > MAX_TEXT_LENGTH) {
      throw new IllegalArgumentException(
          what + " must have 1 to " + MAX_TEXT_LENGTH + " characters, got " + text.length());
    }
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) < 0x20 || text.charAt(i) > 0x7e) {
        throw new IllegalArgumentException(
            String.format(
                "%s must be printable ASCII; character %d is U+%04X",
                what, i, (int) text.charAt(i)));
      }
    }
  }

  /**
   * Sets when the primary should be replaced; {@link Keysets#setRotationPolicy} changes it later.
   */
  public KeysetTemplate withRotationPolicy(RotationPolicy policy) {
    return new KeysetTemplate(
        owner,
        Objects.requireNonNull(policy, "rotation policy"),
        destructionWindow,
        quietPeriod,
        rootKeyRule);
  }

  /**
   * Sets how long a scheduled destruction can be cancelled.
   *
   * @throws IllegalArgumentException unless it is whole seconds within 7 and 30 days
   */
  public KeysetTemplate withDestructionWindow(Duration destructionWindow) {
    requireDestructionWindow(destructionWindow);
    return new KeysetTemplate(owner, rotationPolicy, destructionWindow, quietPeriod, rootKeyRule);
  }

  /**
   * Sets how long a version must not have encrypted before its destruction may be scheduled; no
   * such time if not set. The day of the last use is then kept in the store, which costs each
   * keyset in use a write a day. Decryption is not noticed: it would need a write by every reader.
   *
   * @throws IllegalArgumentException unless it is whole days within 1 and 365
   */
  public KeysetTemplate withQuietPeriod(Duration quietPeriod) {
    RotationPolicy.requireWithin("quiet period", quietPeriod, MIN_QUIET_PERIOD, MAX_QUIET_PERIOD);
    if (!quietPeriod.equals(Duration.ofDays(quietPeriod.toDays()))) {
      throw new IllegalArgumentException("quiet period must be whole days, got " + quietPeriod);
    }
    return new KeysetTemplate(owner, rotationPolicy, destructionWindow, quietPeriod, rootKeyRule);
  }

  /**
   * Sets which root keys may hold its keys; {@link Keysets#setRootKeyRule} changes it later. Any if
   * not set.
   */
  public KeysetTemplate withRootKeyRule(RootKeyRule rule) {
    return new KeysetTemplate(
        owner,
        rotationPolicy,
        destructionWindow,
        quietPeriod,
        Objects.requireNonNull(rule, "root key rule"));
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

  /** How long a version must not have encrypted before it may be destroyed, if that matters. */
  public Optional<Duration> quietPeriod() {
    return Optional.ofNullable(quietPeriod);
  }

  /** Which root keys may hold its keys. */
  public RootKeyRule rootKeyRule() {
    return rootKeyRule;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof KeysetTemplate template
        && Objects.equals(owner, template.owner)
        && rotationPolicy.equals(template.rotationPolicy)
        && destructionWindow.equals(template.destructionWindow)
        && Objects.equals(quietPeriod, template.quietPeriod)
        && rootKeyRule.equals(template.rootKeyRule);
  }

  @Override
  public int hashCode() {
    return Objects.hash(owner, rotationPolicy, destructionWindow, quietPeriod, rootKeyRule);
  }

  @Override
  public String toString() {
    return "KeysetTemplate[owner "
        + (owner == null ? "none" : owner)
        + ", "
        + rotationPolicy
        + ", destruction window "
        + destructionWindow
        + (quietPeriod == null ? "" : ", quiet period " + quietPeriod)
        + (rootKeyRule.equals(RootKeyRule.any()) ? "" : ", " + rootKeyRule)
        + "]";
  }
}
