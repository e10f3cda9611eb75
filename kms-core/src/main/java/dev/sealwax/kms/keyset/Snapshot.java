package dev.sealwax.kms.keyset;

import org.jspecify.annotations.Nullable;

/**
 * A keyset as this process has authenticated it, and until when it is good.
 *
 * @param keyset what the document says
 * @param mac the document's MAC, which stands for its content
 * @param documentKey the key that authenticated it; null for the document of a destroyed keyset
 *     that this process saw only after its destruction, when nobody can authenticate it any more
 * @param loadedNanos when the read that confirmed it last began
 * @param refreshNanos when it should be read again
 */
record Snapshot(
    Keyset keyset,
    String mac,
    @Nullable DocumentKey documentKey,
    long loadedNanos,
    long refreshNanos) {

  boolean isAuthenticated() {
    return documentKey != null;
  }

  boolean hasContentOf(KeysetReader.Loaded loaded) {
    return keyset.revision() == loaded.keyset().revision() && mac.equals(loaded.mac());
  }

  Snapshot confirmed(long loaded, long refresh) {
    return new Snapshot(keyset, mac, documentKey, loaded, refresh);
  }

  Snapshot postponed(long refresh) {
    return new Snapshot(keyset, mac, documentKey, loadedNanos, refresh);
  }
}
