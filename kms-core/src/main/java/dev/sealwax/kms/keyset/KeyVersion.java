package dev.sealwax.kms.keyset;

import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.WrappedKey;
import java.time.Instant;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * One key-encryption key of a keyset: its number, state and dates, and its material wrapped by the
 * root key. Immutable; safe for any thread.
 */
public final class KeyVersion {
  private final int number;
  private final KeyState state;
  private final Instant createdAt;
  private final boolean compromised;
  private final @Nullable Instant destroyAt;
  private final @Nullable Instant destroyedAt;
  private final @Nullable WrappedKey wrapped;

  private KeyVersion(
      int number,
      KeyState state,
      Instant createdAt,
      boolean compromised,
      @Nullable Instant destroyAt,
      @Nullable Instant destroyedAt,
      @Nullable WrappedKey wrapped) {
    this.number = number;
    this.state = state;
    this.createdAt = createdAt;
    this.compromised = compromised;
    this.destroyAt = destroyAt;
    this.destroyedAt = destroyedAt;
    this.wrapped = wrapped;
    String problem = problem();
    if (problem != null) {
      throw new IllegalArgumentException("version " + number + " " + problem);
    }
  }

  /**
   * Joins the parts of a version.
   *
   * @throws IllegalArgumentException if they contradict each other (keyset-v1 §3)
   */
  static KeyVersion of(
      int number,
      KeyState state,
      Instant createdAt,
      boolean compromised,
      @Nullable Instant destroyAt,
      @Nullable Instant destroyedAt,
      @Nullable WrappedKey wrapped) {
    return new KeyVersion(number, state, createdAt, compromised, destroyAt, destroyedAt, wrapped);
  }

  static KeyVersion fresh(int number, KeyState state, Instant createdAt, WrappedKey wrapped) {
    return new KeyVersion(number, state, createdAt, false, null, null, wrapped);
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

  /**
   * Whether it was ever marked compromised; the mark outlives a scheduled and cancelled
   * destruction.
   */
  public boolean isCompromised() {
    return compromised;
  }

  /** When it may be destroyed; present while its destruction is scheduled. */
  public Optional<Instant> destroyAt() {
    return Optional.ofNullable(destroyAt);
  }

  /** When its material was deleted; present once destroyed. */
  public Optional<Instant> destroyedAt() {
    return Optional.ofNullable(destroyedAt);
  }

  /** The root key that holds it; empty once destroyed. */
  public Optional<RootKeyId> rootKeyId() {
    return Optional.ofNullable(wrapped).map(WrappedKey::rootKeyId);
  }

  @Nullable WrappedKey wrapped() {
    return wrapped;
  }

  KeyVersion withState(KeyState next) {
    return new KeyVersion(
        number, next, createdAt, compromised || next == KeyState.COMPROMISED, null, null, wrapped);
  }

  KeyVersion scheduled(Instant at) {
    return new KeyVersion(
        number, KeyState.DESTRUCTION_SCHEDULED, createdAt, compromised, at, null, wrapped);
  }

  KeyVersion destroyed(Instant at) {
    return new KeyVersion(number, KeyState.DESTROYED, createdAt, compromised, null, at, null);
  }

  KeyVersion withWrapped(WrappedKey rewrapped) {
    return new KeyVersion(number, state, createdAt, compromised, destroyAt, destroyedAt, rewrapped);
  }

  @Override
  public String toString() {
    return "KeyVersion[" + number + ", " + state + "]";
  }
}
