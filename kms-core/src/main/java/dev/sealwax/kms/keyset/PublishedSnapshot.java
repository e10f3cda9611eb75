package dev.sealwax.kms.keyset;

import dev.sealwax.kms.cache.KeyCache;
import dev.sealwax.kms.keyset.KeysetReader.Loaded;
import dev.sealwax.kms.keyset.Snapshot.Doubt;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What every operation of this process sees of one keyset: replaced under a lock, read without one.
 *
 * <p>Only moves forward: a revision is followed by a later one of the same history, and what the
 * later one revokes leaves the cache of unwrapped keys at that moment. Owns the document keys of
 * what it has published, until {@link #close}. Safe for any thread.
 */
final class PublishedSnapshot {
  private final KeysetId id;
  private final KeyCache<VersionId, KeyEncryptionKey> keys;
  private final LongSupplier nanoClock;
  private final Clock wallClock;
  private final long refreshNanos;
  private final long hardNanos;
  private final ReentrantLock publishing = new ReentrantLock();
  // Keys of documents before the keyset moved to another root key; reads begun before may still use
  // them.
  private final List<DocumentKey> retired = new ArrayList<>(0);
  private volatile @Nullable Snapshot current;
  private volatile boolean closed;
  // When the root key last denied a version, if ever; guarded by the lock.
  private boolean denied;
  private long deniedNanos;

  PublishedSnapshot(KeysetId id, OpenKeyset.Shared shared) {
    this.id = id;
    this.keys = shared.keys();
    this.nanoClock = shared.nanoClock();
    this.wallClock = shared.wallClock();
    this.refreshNanos = shared.refreshNanos();
    this.hardNanos = shared.hardNanos();
  }

  /** Null if nothing was published, or this is closed. */
  @Nullable Snapshot get() {
    return current;
  }

  /**
   * What is published, by a caller that knows that something was.
   *
   * @throws IllegalStateException if closed
   */
  Snapshot require() {
    Snapshot snapshot = current;
    if (snapshot == null) {
      requireOpen();
      throw new IllegalStateException("keyset " + id + " has not been read yet");
    }
    return snapshot;
  }

  void requireOpen() {
    if (closed) {
      throw closedKeysets();
    }
  }

  private static IllegalStateException closedKeysets() {
    return new IllegalStateException("the Kms is closed");
  }

  /**
   * Makes {@code loaded} what every later operation sees, unless something newer already is. Takes
   * its keys over.
   *
   * @param startedNanos when the read that it came from began
   * @return what later operations see
   * @throws KeysetCorruptedException if it does not follow what is published
   */
  Snapshot publish(Loaded loaded, long startedNanos) {
    publishing.lock();
    try {
      Snapshot before = current;
      DocumentKey kept = before == null ? null : before.documentKey();
      if (closed) {
        discard(loaded, kept);
        throw closedKeysets();
      }
      if (before != null && before.isAuthenticated()) {
        if (loaded.keyset().revision() < before.keyset().revision()
            || loaded.documentKey() == null) {
          // Another thread has published a newer one since this read began.
          discard(loaded, kept);
          return before;
        }
        if (loaded.keyset().revision() == before.keyset().revision()) {
          discard(loaded, kept);
          if (!before.hasContentOf(loaded)) {
            throw new KeysetCorruptedException(
                id,
                "there are two different documents of revision "
                    + loaded.keyset().revision()
                    + ": it was created anew, or restored and changed; restore the one before,"
                    + " or restart this process if that was meant",
                null);
          }
          return startedNanos - before.knownNanos() < 0
              ? before
              : replace(before, before.readAgain(startedNanos, startedNanos + refreshNanos));
        }
        try {
          // Again, as another thread may have published a revision between this read and the one
          // it was compared with.
          KeysetReader.requireFollows(loaded.keyset(), before, loaded.documentKey() == kept);
        } catch (KeysetCorruptedException e) {
          discard(loaded, kept);
          throw e;
        }
      }
      if (kept != null && kept != loaded.documentKey()) {
        retired.add(kept);
      }
      // Before the snapshot, or a thread that sees the one and not the other would ask the root
      // key.
      if (loaded.key() != null) {
        // It may be older than a denial, so the root key is asked again.
        boolean mayBeDenied = denied && deniedNanos - startedNanos >= 0;
        if (mayBeDenied || !isOfUse(loaded.keyset(), loaded.key().version())) {
          loaded.key().close();
        } else {
          keys.put(new VersionId(id, loaded.key().version()), loaded.key());
        }
      }
      Snapshot next = Snapshot.of(loaded, startedNanos, startedNanos + refreshNanos);
      return replace(before, before == null ? next : next.withDoubtSince(before));
    } finally {
      publishing.unlock();
    }
  }

  /** Whether a version serves anything today; what has expired would be kept for nobody. */
  private boolean isOfUse(Keyset keyset, int version) {
    Keyset today = keyset.asOf(wallClock.instant());
    KeyVersion found = today.find(version);
    return found != null && today.allowsAny(found);
  }

  /** Wipes what a read took over and nobody will use; keys that it found here stay. */
  private void discard(Loaded loaded, @Nullable DocumentKey kept) {
    DocumentKey documentKey = loaded.documentKey();
    if (documentKey != null && documentKey != kept && !retired.contains(documentKey)) {
      documentKey.close();
    }
    if (loaded.key() != null) {
      loaded.key().close();
    }
  }

  /**
   * Keeps {@code snapshot} for longer, as the store says that nothing was written.
   *
   * @param confirmedNanos the moment of which the store says so
   * @param nextNanos when it should be looked at again
   * @return what is published then; null if this is closed
   */
  @Nullable Snapshot confirm(Snapshot snapshot, long confirmedNanos, long nextNanos) {
    publishing.lock();
    try {
      Snapshot latest = current;
      if (latest == null
          || latest.keyset() != snapshot.keyset()
          || latest.doubt() != null
          || confirmedNanos - latest.knownNanos() <= 0) {
        return latest;
      }
      return replace(latest, latest.confirmed(confirmedNanos, nextNanos));
    } finally {
      publishing.unlock();
    }
  }

  /**
   * Notes that the store does not bear out what was {@code known}.
   *
   * @param startedNanos when the read that found so began
   */
  void doubt(@Nullable Snapshot known, KmsException why, long startedNanos) {
    publishing.lock();
    try {
      Snapshot now = current;
      // A snapshot published after the doubtful document was read is not what it belies.
      if (known != null && now != null && startedNanos - now.readNanos() >= 0) {
        current = now.doubted(new Doubt(why, startedNanos));
      }
    } finally {
      publishing.unlock();
    }
  }

  /** Leaves the next read for an interval, but for no longer than the snapshot lives. */
  void postpone() {
    publishing.lock();
    try {
      Snapshot old = current;
      long next = nanoClock.getAsLong() + refreshNanos;
      if (old != null && next - old.refreshNanos() > 0) {
        long hard = old.knownNanos() + hardNanos;
        replace(old, old.postponed(next - hard < 0 ? next : hard));
      }
    } finally {
      publishing.unlock();
    }
  }

  /**
   * {@code snapshot}, whose time to be looked at has come, or what is published in its place
   * because something in it has expired.
   *
   * @throws IllegalStateException if closed
   */
  Snapshot withoutExpired(Snapshot snapshot) {
    Keyset keyset = snapshot.keyset();
    if (!keyset.expires() || keyset.asOf(wallClock.instant()) == keyset) {
      return snapshot;
    }
    publishing.lock();
    try {
      Snapshot latest = current;
      if (latest == null) {
        throw closedKeysets();
      }
      return replace(latest, latest);
    } finally {
      publishing.unlock();
    }
  }

  /** Publishes {@code next}, without what has expired, and drops the keys that it revokes. */
  private Snapshot replace(@Nullable Snapshot before, Snapshot next) {
    Snapshot published =
        next.keyset().expires()
            ? next.untilExpiry(wallClock.instant(), nanoClock.getAsLong())
            : next;
    current = published;
    if (before != null && before.keyset() != published.keyset()) {
      removeRevoked(published.keyset(), before.keyset());
    }
    return published;
  }

  private void removeRevoked(Keyset now, Keyset before) {
    for (KeyVersion version : now.versions()) {
      KeyVersion old = before.find(version.number());
      if (old != null && before.allowsAny(old) && !now.allowsAny(version)) {
        keys.remove(new VersionId(id, version.number()));
      }
    }
  }

  /**
   * Drops a version that the root key denies, if that was asked about the wrapping in use; and in
   * any case what reads under way have unwrapped before, whose wrapping may be the one.
   *
   * @return whether it was in use
   */
  boolean deny(int version, WrappedKey wrapped) {
    publishing.lock();
    try {
      denied = true;
      deniedNanos = nanoClock.getAsLong();
      Snapshot now = current;
      KeyVersion used = now == null ? null : now.keyset().find(version);
      if (used == null || !Objects.equals(wrapped, used.wrapped())) {
        return false;
      }
      keys.remove(new VersionId(id, version));
      return true;
    } finally {
      publishing.unlock();
    }
  }

  /** Wipes the document keys. */
  void close() {
    publishing.lock();
    try {
      closed = true;
      Snapshot last = current;
      current = null;
      if (last != null && last.documentKey() != null) {
        last.documentKey().close();
      }
      retired.forEach(DocumentKey::close);
    } finally {
      publishing.unlock();
    }
  }
}
