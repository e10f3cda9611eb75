package dev.sealwax.kms.keyset;

import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.WrappedKey;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * One key-encryption key of a keyset: its number, state and dates, and its material wrapped by the
 * root key. Immutable; safe for any thread.
 */
public final class KeyVersion {
  private static final Duration PROMOTED_AT_ONCE = Duration.ofMinutes(1);

  private final int number;
  private final KeyState state;
  private final Instant createdAt;
  private final @Nullable Instant primaryAt;
  private final long messages;
  private final long bytes;
  private final @Nullable Instant lastUsedAt;
  private final boolean compromised;
  private final @Nullable Instant expiresAt;
  private final @Nullable Instant destroyAt;
  private final @Nullable Instant destroyedAt;
  private final @Nullable String overrideReason;
  private final @Nullable WrappedKey wrapped;

  /** The parts of a version while they are put together or changed. Used by one thread. */
  static final class Parts {
    final int number;
    final Instant createdAt;
    KeyState state;
    @Nullable Instant primaryAt;
    long messages;
    long bytes;
    @Nullable Instant lastUsedAt;
    boolean compromised;
    @Nullable Instant expiresAt;
    @Nullable Instant destroyAt;
    @Nullable Instant destroyedAt;
    @Nullable String overrideReason;
    @Nullable WrappedKey wrapped;

    Parts(int number, KeyState state, Instant createdAt, @Nullable WrappedKey wrapped) {
      this.number = number;
      this.state = state;
      this.createdAt = createdAt;
      this.wrapped = wrapped;
    }

    /**
     * Joins the parts.
     *
     * @throws IllegalArgumentException if they contradict each other (keyset-v1 §3)
     */
    KeyVersion join() {
      return new KeyVersion(this);
    }
  }

  private KeyVersion(Parts parts) {
    this.number = parts.number;
    this.state = parts.state;
    this.createdAt = parts.createdAt;
    this.primaryAt = parts.primaryAt;
    this.messages = parts.messages;
    this.bytes = parts.bytes;
    this.lastUsedAt = parts.lastUsedAt;
    this.compromised = parts.compromised;
    this.expiresAt = parts.expiresAt;
    this.destroyAt = parts.destroyAt;
    this.destroyedAt = parts.destroyedAt;
    this.overrideReason = parts.overrideReason;
    this.wrapped = parts.wrapped;
    String problem = problem();
    if (problem != null) {
      throw new IllegalArgumentException("version " + number + " " + problem);
    }
  }

  private Parts parts() {
    Parts parts = new Parts(number, state, createdAt, wrapped);
    parts.primaryAt = primaryAt;
    parts.messages = messages;
    parts.bytes = bytes;
    parts.lastUsedAt = lastUsedAt;
    parts.compromised = compromised;
    parts.expiresAt = expiresAt;
    parts.destroyAt = destroyAt;
    parts.destroyedAt = destroyedAt;
    parts.overrideReason = overrideReason;
    return parts;
  }

  static KeyVersion fresh(int number, KeyState state, Instant createdAt, WrappedKey wrapped) {
    return new Parts(number, state, createdAt, wrapped).join();
  }

  private @Nullable String problem() {
    if (number < 1) {
      return "has a number below 1";
    }
    if ((wrapped == null) != (state == KeyState.DESTROYED)) {
      return "must have a wrapped key unless destroyed; state is " + state;
    }
    if ((destroyAt != null) != (state == KeyState.DESTRUCTION_SCHEDULED)) {
      return "must have a date of destruction if and only if scheduled; state is " + state;
    }
    if ((destroyedAt != null) != (state == KeyState.DESTROYED)) {
      return "must say when it was destroyed if and only if it was; state is " + state;
    }
    boolean mayBeCompromised =
        state == KeyState.COMPROMISED
            || state == KeyState.DESTRUCTION_SCHEDULED
            || state == KeyState.DESTROYED;
    if (compromised ? !mayBeCompromised : state == KeyState.COMPROMISED) {
      return "has mark compromised = " + compromised + " in state " + state;
    }
    if (primaryAt != null && state == KeyState.PENDING) {
      return "is pending and was primary before";
    }
    if (overrideReason != null
        && state != KeyState.DESTRUCTION_SCHEDULED
        && state != KeyState.DESTROYED) {
      return "has an override of what guards it from destruction in state " + state;
    }
    if (overrideReason != null) {
      KeysetTemplate.requireText("override reason", overrideReason);
    }
    if (lastUsedAt != null && !lastUsedAt.equals(lastUsedAt.truncatedTo(ChronoUnit.DAYS))) {
      return "was last used on a day that has a time";
    }
    if (primaryAt == null && (messages != 0 || bytes != 0 || lastUsedAt != null)) {
      return "has encrypted without ever being primary";
    }
    if (messages < 0 || bytes < 0) {
      return "has encrypted fewer than 0 messages or bytes";
    }
    return null;
  }

  /** Its number within the keyset, counted from 1 and never used twice. */
  public int number() {
    return number;
  }

  public KeyState state() {
    return state;
  }

  public Instant createdAt() {
    return createdAt;
  }

  /** When it last became the primary; empty if it never was. */
  public Optional<Instant> primaryAt() {
    return Optional.ofNullable(primaryAt);
  }

  /**
   * How many messages all processes have reported to be encrypted under it. Counted only while the
   * keyset's rotation policy limits messages or bytes.
   */
  public long messages() {
    return messages;
  }

  /** How many bytes of plaintext, counted as {@link #messages} are. */
  public long bytes() {
    return bytes;
  }

  /**
   * The day, in UTC, on which a process last made a data key under it; kept only while the keyset
   * has a quiet period. Decryption does not count.
   */
  public Optional<Instant> lastUsedAt() {
    return Optional.ofNullable(lastUsedAt);
  }

  /** Why it was scheduled although something spoke against it; empty if nothing did. */
  public Optional<String> overrideReason() {
    return Optional.ofNullable(overrideReason);
  }

  /**
   * Whether it was ever marked compromised; the mark outlives a scheduled and cancelled
   * destruction.
   */
  public boolean isCompromised() {
    return compromised;
  }

  /** From when on every use of it is refused, whatever its state; empty if never. */
  public Optional<Instant> expiresAt() {
    return Optional.ofNullable(expiresAt);
  }

  /** When it may be destroyed; present while its destruction is scheduled. */
  public Optional<Instant> destroyAt() {
    return Optional.ofNullable(destroyAt);
  }

  /** When its material was deleted; present once destroyed. */
  public Optional<Instant> destroyedAt() {
    return Optional.ofNullable(destroyedAt);
  }

  /** The root key that holds it, or the quorum; empty once destroyed. */
  public Optional<RootKeyId> rootKeyId() {
    return Optional.ofNullable(wrapped).map(WrappedKey::rootKeyId);
  }

  /** The root keys of which each can unwrap it alone; none once destroyed. */
  public List<RootKeyId> holdingRootKeyIds() {
    return wrapped == null ? List.of() : wrapped.holders();
  }

  /**
   * The root keys of a quorum that should hold it and do not, because they were down when it was
   * wrapped; {@link Keysets#repairWraps} asks them again.
   */
  public List<RootKeyId> missingRootKeyIds() {
    return wrapped == null ? List.of() : wrapped.missingHolders();
  }

  @Nullable WrappedKey wrapped() {
    return wrapped;
  }

  KeyVersion withState(KeyState next) {
    Parts parts = become(next);
    parts.compromised = compromised || next == KeyState.COMPROMISED;
    return parts.join();
  }

  KeyVersion scheduled(Instant at, @Nullable String because) {
    Parts parts = become(KeyState.DESTRUCTION_SCHEDULED);
    parts.destroyAt = at;
    parts.overrideReason = because;
    return parts.join();
  }

  KeyVersion destroyed(Instant at) {
    Parts parts = become(KeyState.DESTROYED);
    parts.destroyedAt = at;
    parts.overrideReason = overrideReason;
    parts.wrapped = null;
    return parts.join();
  }

  private Parts become(KeyState next) {
    if (!state.canBecome(next)) {
      throw new IllegalStateException(
          "version " + number + " cannot go from " + state + " to " + next);
    }
    Parts parts = parts();
    parts.state = next;
    parts.destroyAt = null;
    parts.overrideReason = null;
    return parts;
  }

  /** The version as the primary from {@code now} on. */
  KeyVersion promoted(Instant now) {
    Parts parts = parts();
    parts.state = KeyState.ENABLED;
    parts.primaryAt = now;
    // No two promotions of a version bear one date: who has seen it knows that it was primary
    // without a break.
    if (primaryAt != null
        && !now.isAfter(primaryAt)
        && now.isAfter(primaryAt.minus(PROMOTED_AT_ONCE))) {
      parts.primaryAt = primaryAt.plusSeconds(1);
    }
    return parts.join();
  }

  /** The version with that much more use; less than 0 takes back what was reported unused. */
  KeyVersion used(long moreMessages, long moreBytes) {
    Parts parts = parts();
    parts.messages = added(messages, moreMessages);
    parts.bytes = added(bytes, moreBytes);
    return parts.join();
  }

  /** The version as used on a day, unless a later one is known. */
  KeyVersion usedOn(Instant day) {
    if (lastUsedAt != null && !lastUsedAt.isBefore(day)) {
      return this;
    }
    Parts parts = parts();
    parts.lastUsedAt = day;
    return parts.join();
  }

  private static long added(long count, long more) {
    return Math.min(RotationPolicy.MAX_COUNT, Math.max(0, count + more));
  }

  /**
   * The version as its document is longest, whatever happens to it but another wrapped key; itself
   * once it is destroyed.
   */
  KeyVersion fullest(String reason) {
    if (state == KeyState.DESTROYED) {
      return this;
    }
    // Scheduled, because no state has a longer name. It keeps the mark it may have, the shorter.
    Parts parts = parts();
    parts.state = KeyState.DESTRUCTION_SCHEDULED;
    parts.primaryAt = Instant.EPOCH;
    parts.messages = RotationPolicy.MAX_COUNT;
    parts.bytes = RotationPolicy.MAX_COUNT;
    parts.lastUsedAt = Instant.EPOCH;
    parts.expiresAt = Instant.EPOCH;
    parts.destroyAt = Instant.EPOCH;
    parts.overrideReason = reason;
    return parts.join();
  }

  KeyVersion withExpiry(@Nullable Instant at) {
    Parts parts = parts();
    parts.expiresAt = at;
    return parts.join();
  }

  KeyVersion withWrapped(WrappedKey rewrapped) {
    Parts parts = parts();
    parts.wrapped = rewrapped;
    return parts.join();
  }

  /** Whether all but the count of use is the same. */
  boolean equalsButForUse(@Nullable KeyVersion other) {
    return other != null && equals(other.withUseOf(this));
  }

  boolean hasUseOf(@Nullable KeyVersion other) {
    return other != null
        && messages == other.messages
        && bytes == other.bytes
        && Objects.equals(lastUsedAt, other.lastUsedAt);
  }

  private KeyVersion withUseOf(KeyVersion other) {
    if (primaryAt == null) {
      return this; // has none, and may have none
    }
    Parts parts = parts();
    parts.messages = other.messages;
    parts.bytes = other.bytes;
    parts.lastUsedAt = other.lastUsedAt;
    return parts.join();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof KeyVersion version
        && number == version.number
        && state == version.state
        && compromised == version.compromised
        && createdAt.equals(version.createdAt)
        && Objects.equals(primaryAt, version.primaryAt)
        && messages == version.messages
        && bytes == version.bytes
        && Objects.equals(lastUsedAt, version.lastUsedAt)
        && Objects.equals(overrideReason, version.overrideReason)
        && Objects.equals(expiresAt, version.expiresAt)
        && Objects.equals(destroyAt, version.destroyAt)
        && Objects.equals(destroyedAt, version.destroyedAt)
        && Objects.equals(wrapped, version.wrapped);
  }

  @Override
  public int hashCode() {
    return Objects.hash(number, state, createdAt, wrapped);
  }

  @Override
  public String toString() {
    return "KeyVersion[" + number + ", " + state + "]";
  }
}
