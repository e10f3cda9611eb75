package dev.sealwax.kms.keyset;

import dev.sealwax.kms.vocabulary.KmsException;
import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A keyset as this process has authenticated it, and until when it is good.
 *
 * @param keyset what the document says
 * @param mac the document's MAC, which stands for its content
 * @param documentKey the key that authenticated it; null for the document of a destroyed keyset
 *     that this process saw only after its destruction, when nobody can authenticate it any more
 * @param readNanos when the read that it came from, or that found it unchanged, began
 * @param knownNanos when it was last known to be what the store holds, by a read or by the store's
 *     word that nothing was written
 * @param refreshNanos when it should be read again; until then it serves unchecked, so it is never
 *     later than {@code knownNanos} and the hard time to live
 * @param doubt why the store no longer bears it out, if so: the document is damaged, of another
 *     history, or gone, or it has changed and the root key does not let this process authenticate
 *     it. What this keyset has encrypted still opens; encrypting on could be for nobody to open
 */
record Snapshot(
    Keyset keyset,
    String mac,
    @Nullable DocumentKey documentKey,
    long readNanos,
    long knownNanos,
    long refreshNanos,
    @Nullable Doubt doubt) {

  /**
   * Why the store is not believed.
   *
   * @param why what a read found
   * @param sinceNanos when that read began; one that began before clears no doubt
   */
  record Doubt(KmsException why, long sinceNanos) {}

  // Longer than any snapshot lives without being looked at.
  private static final Duration MAX_AHEAD = Duration.ofDays(3650);

  /** What a read that began at {@code read} has yielded. */
  static Snapshot of(KeysetReader.Loaded loaded, long read, long refresh) {
    return new Snapshot(
        loaded.keyset(), loaded.mac(), loaded.documentKey(), read, read, refresh, null);
  }

  boolean isAuthenticated() {
    return documentKey != null;
  }

  boolean hasContentOf(KeysetReader.Loaded loaded) {
    return keyset.revision() == loaded.keyset().revision() && mac.equals(loaded.mac());
  }

  Snapshot readAgain(long read, long refresh) {
    return new Snapshot(keyset, mac, documentKey, read, read, refresh, null).withDoubtSince(this);
  }

  /** With the doubt about {@code before} that came from a later read than this. */
  Snapshot withDoubtSince(Snapshot before) {
    Doubt old = before.doubt();
    return old != null && readNanos - old.sinceNanos() < 0 ? doubted(old) : this;
  }

  Snapshot confirmed(long confirmed, long refresh) {
    return new Snapshot(keyset, mac, documentKey, readNanos, confirmed, refresh, doubt);
  }

  Snapshot postponed(long refresh) {
    return new Snapshot(keyset, mac, documentKey, readNanos, knownNanos, refresh, doubt);
  }

  Snapshot doubted(Doubt why) {
    return new Snapshot(keyset, mac, documentKey, readNanos, knownNanos, refreshNanos, why);
  }

  /**
   * This as it refuses what has expired by now, to be looked at again when the next thing does: so
   * no operation has to read a clock for it.
   *
   * @param now the wall clock, which says what has expired
   * @param nowNanos the clock of the other members, at the same moment
   */
  Snapshot untilExpiry(Instant now, long nowNanos) {
    Instant next = keyset.nextExpiry(now);
    long refresh = refreshNanos;
    if (next != null && Duration.between(now, next).compareTo(MAX_AHEAD) < 0) {
      long expiry = nowNanos + Duration.between(now, next).toNanos();
      refresh = expiry - refresh < 0 ? expiry : refresh;
    }
    return new Snapshot(keyset.asOf(now), mac, documentKey, readNanos, knownNanos, refresh, doubt);
  }
}
