package dev.sealwax.kms.keyset;

import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException.Reason;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * A named set of key-encryption key versions with exactly one primary, as it stood at one revision.
 *
 * <p>Holds no secret: the keys in it are wrapped by the root key. Version numbers run from 1
 * without a gap, because destroyed versions leave their entry behind. Immutable; safe for any
 * thread. {@link Keysets} makes the next revision.
 */
public final class Keyset {
  /**
   * Most versions in one keyset. A keyset that rotates daily reaches it in under three years, one
   * that rotates every 90 days never; it keeps the document within {@link
   * StoredKeyset#MAX_DOCUMENT_CHARS} for a single root key. With the longer wrapped keys of a
   * quorum, or in a store that holds less, the document is full before.
   */
  public static final int MAX_VERSIONS = 1000;

  private final KeysetId id;
  private final long revision;
  private final KeysetTemplate policy;
  private final @Nullable LegalHold hold;
  private final @Nullable Instant expiresAt;
  private final Instant createdAt;
  private final int primary;
  private final int previous; // 0 if there was none
  private final List<KeyVersion> versions;
  // What has expired by then is refused. Part of the object and not asked of a clock, so that who
  // has been found fit under this very object need not be asked again.
  private final Instant asOf;
  private final boolean expires; // asked whenever a snapshot is confirmed

  private Keyset(
      KeysetId id,
      long revision,
      KeysetTemplate policy,
      @Nullable LegalHold hold,
      @Nullable Instant expiresAt,
      Instant createdAt,
      int primary,
      int previous,
      List<KeyVersion> versions) {
    this.id = id;
    this.revision = revision;
    this.policy = policy;
    this.hold = hold;
    this.expiresAt = expiresAt;
    this.createdAt = createdAt;
    this.primary = primary;
    this.previous = previous;
    this.versions = List.copyOf(versions);
    this.asOf = Instant.MIN;
    this.expires = nextExpiry(Instant.MIN) != null;
    String problem = problem();
    if (problem != null) {
      throw new IllegalArgumentException(problem);
    }
  }

  private Keyset(Keyset same, Instant asOf) {
    this.id = same.id;
    this.revision = same.revision;
    this.policy = same.policy;
    this.hold = same.hold;
    this.expiresAt = same.expiresAt;
    this.createdAt = same.createdAt;
    this.primary = same.primary;
    this.previous = same.previous;
    this.versions = same.versions;
    this.asOf = asOf;
    this.expires = same.expires;
  }

  /**
   * Joins the parts of a keyset.
   *
   * @throws IllegalArgumentException if they break a rule of keyset-v1 §3
   */
  static Keyset of(
      KeysetId id,
      long revision,
      KeysetTemplate policy,
      @Nullable LegalHold hold,
      @Nullable Instant expiresAt,
      Instant createdAt,
      int primary,
      int previous,
      List<KeyVersion> versions) {
    return new Keyset(
        id, revision, policy, hold, expiresAt, createdAt, primary, previous, versions);
  }

  private @Nullable String problem() {
    if (versions.isEmpty() || versions.size() > MAX_VERSIONS) {
      return "keyset must have 1 to " + MAX_VERSIONS + " versions, got " + versions.size();
    }
    for (int i = 0; i < versions.size(); i++) {
      if (versions.get(i).number() != i + 1) {
        return "versions must be numbered from 1 without a gap, got " + versions.get(i).number();
      }
    }
    if (primary < 1 || primary > versions.size()) {
      return "primary must be one of the " + versions.size() + " versions, got " + primary;
    }
    if (previous < 0 || previous > versions.size() || previous == primary) {
      return "previous primary must be another of the " + versions.size() + " versions";
    }
    for (int number : new int[] {primary, previous}) {
      if (number != 0 && versions.get(number - 1).primaryAt().isEmpty()) {
        return "version " + number + " is or was primary and does not say since when";
      }
    }
    KeyState primaryState = versions.get(primary - 1).state();
    if (primaryState == KeyState.PENDING) {
      return "primary " + primary + " is still pending";
    }
    if (primaryState == KeyState.DESTROYED && !isDestroyed()) {
      return "primary " + primary + " is destroyed while other versions are not";
    }
    return null;
  }

  public KeysetId id() {
    return id;
  }

  /** Counts the changes of this keyset, from 1. */
  public long revision() {
    return revision;
  }

  /** Whoever answers for the keyset, as named at its creation. */
  public Optional<String> owner() {
    return policy.owner();
  }

  public Instant createdAt() {
    return createdAt;
  }

  /** The number of the version that encrypts. */
  public int primary() {
    return primary;
  }

  /** The number of the version that was primary before this one; empty if there was none. */
  public OptionalInt previousPrimary() {
    return previous == 0 ? OptionalInt.empty() : OptionalInt.of(previous);
  }

  /** The version of that number, or empty if the keyset never had one. */
  public Optional<KeyVersion> version(int number) {
    return Optional.ofNullable(find(number));
  }

  /** All versions in ascending order, unmodifiable. */
  public List<KeyVersion> versions() {
    return versions;
  }

  /** When the primary should be replaced. */
  public RotationPolicy rotationPolicy() {
    return policy.rotationPolicy();
  }

  /** How long a scheduled destruction can be cancelled unless the operator says otherwise. */
  public Duration destructionWindow() {
    return policy.destructionWindow();
  }

  /**
   * When the primary should be replaced because of its age, or because it expires a day later (or
   * two propagation delays, if that is longer); empty if the policy is manual or limits neither.
   */
  public Optional<Instant> rotationDueAt() {
    RotationPolicy rotation = rotationPolicy();
    Instant byAge = rotation.age().map(primarySince()::plus).orElse(null);
    Instant byExpiry =
        rotation.isManual()
            ? null
            : versions.get(primary - 1).expiresAt().map(rotation::beforeExpiry).orElse(null);
    if (byAge == null || byExpiry == null) {
      return Optional.ofNullable(byAge == null ? byExpiry : byAge);
    }
    return Optional.of(byAge.isBefore(byExpiry) ? byAge : byExpiry);
  }

  /** Whether the primary should have been replaced by {@code now}, for any reason of the policy. */
  public boolean isRotationDue(Instant now) {
    return isRotationDue(Objects.requireNonNull(now, "now"), 0, 0);
  }

  /** The same, if it has encrypted so many messages and bytes more than the document says. */
  boolean isRotationDue(Instant now, long moreMessages, long moreBytes) {
    Instant dueAt = rotationDueAt().orElse(null);
    if (dueAt != null && !now.isBefore(dueAt)) {
      return true;
    }
    KeyVersion used = versions.get(primary - 1);
    return rotationPolicy().isReachedBy(used.messages() + moreMessages, used.bytes() + moreBytes)
        && !now.isBefore(primarySince().plus(RotationPolicy.MIN_AGE));
  }

  private Instant primarySince() {
    return versions.get(primary - 1).primaryAt().orElseThrow();
  }

  /** How long a version must not have encrypted before it may be destroyed, if that matters. */
  public Optional<Duration> quietPeriod() {
    return policy.quietPeriod();
  }

  /** From when on every use of the keyset is refused; empty if never. */
  public Optional<Instant> expiresAt() {
    return Optional.ofNullable(expiresAt);
  }

  /** Whether anything in the keyset ever expires. */
  boolean expires() {
    return expires;
  }

  /** The first moment after {@code after} at which something expires, or null. */
  @Nullable Instant nextExpiry(Instant after) {
    Instant next = null;
    for (KeyVersion version : versions) {
      Instant expiry = expiryOf(version);
      if (expiry != null && expiry.isAfter(after) && (next == null || expiry.isBefore(next))) {
        next = expiry;
      }
    }
    return next;
  }

  private @Nullable Instant expiryOf(KeyVersion version) {
    Instant own = version.expiresAt().orElse(null);
    return own == null || (expiresAt != null && expiresAt.isBefore(own)) ? expiresAt : own;
  }

  /** Whether it had expired when this object was made. */
  boolean isExpired(KeyVersion version) {
    Instant expiry = expiryOf(version);
    return expiry != null && !asOf.isBefore(expiry);
  }

  /**
   * The keyset as it refuses what has expired by {@code now}: this object if that is the same. What
   * has expired once stays so, also for a clock that is set back.
   */
  Keyset asOf(Instant now) {
    Instant next = nextExpiry(asOf);
    return next == null || now.isBefore(next) ? this : new Keyset(this, now);
  }

  /** Whether a version can be used at all, so that its key is worth keeping. */
  boolean allowsAny(KeyVersion version) {
    return version.state().allowsAny() && !isExpired(version);
  }

  /** Which root keys may hold its keys. */
  public RootKeyRule rootKeyRule() {
    return policy.rootKeyRule();
  }

  /** What keeps all versions from being destroyed, if something does. */
  public Optional<LegalHold> hold() {
    return Optional.ofNullable(hold);
  }

  /** Whether every version is destroyed: nothing of the keyset can ever be used again. */
  public boolean isDestroyed() {
    for (KeyVersion version : versions) {
      if (version.state() != KeyState.DESTROYED) {
        return false;
      }
    }
    return true;
  }

  /**
   * Makes sure that a version may be used.
   *
   * @throws KeyUnavailableException if its state does not allow the use, it had expired when this
   *     object was made, or there is no such version
   */
  public void requireUse(int version, KeyUse use) {
    KeyVersion found = find(version);
    if (found == null || !found.state().allows(use) || isExpired(found)) {
      throw refusal(version, found, use);
    }
  }

  private KeyUnavailableException refusal(int version, @Nullable KeyVersion found, KeyUse use) {
    if (found == null) {
      return new KeyUnavailableException(
          Reason.UNKNOWN_VERSION,
          id,
          version,
          "the newest version is "
              + versions.size()
              + "; check that store and data belong together");
    }
    if (found.state().allows(use)) {
      return new KeyUnavailableException(
          Reason.EXPIRED,
          id,
          version,
          "it has expired at "
              + expiryOf(found)
              + (use == KeyUse.ENCRYPT ? "; rotate, or" : ";")
              + " move that date to use it again");
    }
    return switch (found.state()) {
      case PENDING ->
          new KeyUnavailableException(Reason.PENDING, id, version, "promote it before it encrypts");
      case DISABLED ->
          new KeyUnavailableException(
              Reason.DISABLED,
              id,
              version,
              use == KeyUse.ENCRYPT ? "enable it, or rotate" : "enable it to use it again");
      case COMPROMISED ->
          new KeyUnavailableException(
              Reason.COMPROMISED,
              id,
              version,
              use == KeyUse.ENCRYPT
                  ? "rotate to encrypt again"
                  : "move its data with reencrypt; whoever has the key may have forged it");
      case DESTRUCTION_SCHEDULED ->
          new KeyUnavailableException(
              Reason.DESTRUCTION_SCHEDULED,
              id,
              version,
              "cancel its destruction before "
                  + found.destroyAt().map(Instant::toString).orElse("its date")
                  + " to use it again");
      case DESTROYED ->
          new KeyUnavailableException(
              Reason.DESTROYED, id, version, "its data cannot be opened by anybody any more");
      case ENABLED -> throw new AssertionError("enabled versions allow every use");
    };
  }

  @Nullable KeyVersion find(int number) {
    return has(number) ? versions.get(number - 1) : null;
  }

  boolean has(int number) {
    return number >= 1 && number <= versions.size();
  }

  KeysetTemplate policy() {
    return policy;
  }

  /** The next revision with one version exchanged. */
  Keyset replacing(KeyVersion changed) {
    List<KeyVersion> next = new ArrayList<>(versions);
    next.set(changed.number() - 1, changed);
    return next(primary, next);
  }

  /** The next revision; another primary makes this one's the previous. */
  Keyset next(int nextPrimary, List<KeyVersion> nextVersions) {
    int nextPrevious = nextPrimary == primary ? previous : primary;
    return new Keyset(
        id,
        revision + 1,
        policy,
        hold,
        expiresAt,
        createdAt,
        nextPrimary,
        nextPrevious,
        nextVersions);
  }

  /** The next revision with that hold, or with none. */
  Keyset withHold(@Nullable LegalHold next) {
    return new Keyset(
        id, revision + 1, policy, next, expiresAt, createdAt, primary, previous, versions);
  }

  /** The next revision that expires then, or never. */
  Keyset withExpiry(@Nullable Instant next) {
    return new Keyset(id, revision + 1, policy, hold, next, createdAt, primary, previous, versions);
  }

  /** The next revision with all versions wrapped anew. */
  Keyset rewrapped(KeysetTemplate nextPolicy, List<KeyVersion> nextVersions) {
    return new Keyset(
        id, revision + 1, nextPolicy, hold, expiresAt, createdAt, primary, previous, nextVersions);
  }

  /** The next revision with another policy. */
  Keyset withPolicy(KeysetTemplate next) {
    return new Keyset(
        id, revision + 1, next, hold, expiresAt, createdAt, primary, previous, versions);
  }

  @Override
  public String toString() {
    return "Keyset["
        + id
        + ", revision "
        + revision
        + ", primary "
        + primary
        + ", "
        + versions
        + "]";
  }
}
