package dev.sealwax.kms.keyset;

import dev.sealwax.kms.vocabulary.KmsException;
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
 * @param refreshNanos when it should be read again
 * @param doubt why the store no longer bears it out, if so: the document is damaged, of another
 *     history, or gone. What this keyset has encrypted still opens; encrypting on could be for
 *     nobody to open
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

  boolean isAuthenticated() {
    return documentKey != null;
  }

  boolean hasContentOf(KeysetReader.Loaded loaded) {
    return keyset.revision() == loaded.keyset().revision() && mac.equals(loaded.mac());
  }

  Snapshot readAgain(long read, long refresh) {
    Doubt left = doubt != null && read - doubt.sinceNanos() < 0 ? doubt : null;
    return new Snapshot(keyset, mac, documentKey, read, read, refresh, left);
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

  Snapshot as(Keyset other, long refresh) {
    return new Snapshot(other, mac, documentKey, readNanos, knownNanos, refresh, doubt);
  }
}
