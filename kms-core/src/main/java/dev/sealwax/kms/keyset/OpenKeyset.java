package dev.sealwax.kms.keyset;

import dev.sealwax.kms.cache.Held;
import dev.sealwax.kms.cache.KeyCache;
import dev.sealwax.kms.crypto.KeyClosedException;
import dev.sealwax.kms.keyset.KeysetReader.Loaded;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One keyset as this process uses it: its newest authenticated snapshot, kept fresh, and its
 * unwrapped key versions.
 *
 * <p>Belongs to {@link OpenKeysets}, which closes it; for the use of the façade and the envelope
 * package. Safe for any thread. The newest revision authenticated stays known until then, so that
 * an older document is never accepted.
 */
public final class OpenKeyset {
  /**
   * An attacker can put any version into a header; this many nanoseconds lie between looks for
   * unknown ones.
   */
  static final long UNKNOWN_VERSION_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

  // Only a cache much smaller than the set of versions in use can drop a key as fast as this.
  private static final int CACHED_ATTEMPTS = 3;

  /** Every state that allows anything allows this. */
  private static final KeyUse ANY_USE = KeyUse.REENCRYPT;

  private static final Logger LOG = LoggerFactory.getLogger(OpenKeyset.class);

  /** Identifies a key version within the process. */
  record VersionId(KeysetId keyset, int version) {}

  /**
   * What the keysets of a process share.
   *
   * @param refreshNanos age from which a snapshot is read again in the background
   * @param hardNanos age from which a snapshot serves nobody
   */
  record Shared(
      KeysetReader reader,
      RootCalls rootCalls,
      KeyCache<VersionId, KeyEncryptionKey> keys,
      LongSupplier nanoClock,
      Executor refresher,
      long refreshNanos,
      long hardNanos) {}

  /** How the last look for an unknown version ended, and when. */
  private record Look(long endedNanos, @Nullable RuntimeException failure) {}

  private final KeysetId id;
  private final Shared shared;
  private final SingleFlight<Snapshot> reads = new SingleFlight<>();
  private final SingleFlight<Snapshot> looks = new SingleFlight<>();
  private final AtomicBoolean refreshing = new AtomicBoolean();
  private final ReentrantLock publishing = new ReentrantLock();
  // Keys of documents before the keyset moved to another root key; reads begun before may still use
  // them.
  private final List<DocumentKey> retired = new ArrayList<>(0);
  private volatile @Nullable Snapshot current;
  private volatile @Nullable Look lastLook;
  private volatile boolean failing;
  private volatile boolean closed;

  OpenKeyset(KeysetId id, Shared shared) {
    this.id = id;
    this.shared = shared;
  }

  public KeysetId id() {
    return id;
  }

  /**
   * The keyset as of at most one refresh interval ago; older if the store fails, up to the hard
   * time to live.
   *
   * @param wantedVersion a version that is looked for in the store if the snapshot does not know
   *     it, or 0 for the primary; the result may still lack it
   * @throws KeysetStoreException if the keyset is not there, or must be read and the store fails
   * @throws KeysetCorruptedException if it must be read and is not authentic
   * @throws RootKeyException if the root key is needed to authenticate it and fails
   * @throws IllegalStateException if closed
   */
  public Keyset snapshot(int wantedVersion) {
    Snapshot snapshot = current;
    if (snapshot != null
        && shared.nanoClock.getAsLong() - snapshot.refreshNanos() < 0
        && (wantedVersion == 0 || snapshot.keyset().has(wantedVersion))) {
      return snapshot.keyset();
    }
    return freshened(snapshot, wantedVersion).keyset();
  }

  private Snapshot freshened(@Nullable Snapshot snapshot, int wanted) {
    requireOpen();
    long now = shared.nanoClock.getAsLong();
    Snapshot usable = snapshot;
    if (usable == null || now - usable.loadedNanos() >= shared.hardNanos) {
      usable = reads.run(() -> read(wanted));
    } else if (now - usable.refreshNanos() >= 0) {
      refreshInBackground(usable);
    }
    if (wanted == 0 || usable.keyset().has(wanted)) {
      return usable;
    }
    return looks.run(() -> look(wanted));
  }

  /**
   * Reads the keyset because a header names a version that the snapshot lacks, unless that was just
   * done.
   */
  private Snapshot look(int wanted) {
    Snapshot known = requireCurrent();
    if (known.keyset().has(wanted)) {
      return known;
    }
    Look last = lastLook;
    if (last != null
        && shared.nanoClock.getAsLong() - last.endedNanos() < UNKNOWN_VERSION_PAUSE_NANOS) {
      if (last.failure() != null) {
        throw last.failure();
      }
      return known;
    }
    RuntimeException failure = null;
    try {
      return read(wanted);
    } catch (RuntimeException e) {
      failure = e;
      throw e;
    } finally {
      lastLook = new Look(shared.nanoClock.getAsLong(), failure);
    }
  }

  private void refreshInBackground(Snapshot old) {
    if (!refreshing.compareAndSet(false, true)) {
      return;
    }
    try {
      shared.refresher.execute(() -> refresh(old));
    } catch (RejectedExecutionException e) {
      refreshing.set(false);
    }
  }

  private void refresh(Snapshot old) {
    try {
      reads.run(() -> read(0));
      if (failing) {
        failing = false;
        LOG.info("keyset {} is refreshed again", id);
      }
    } catch (RuntimeException e) {
      postpone(old);
      // Once per outage: a refresh is tried twice a second while the keyset is in use.
      if (!failing && !closed) {
        failing = true;
        LOG.warn(
            "keyset {} cannot be refreshed; revision {} stays in use until its hard time to live",
            id,
            old.keyset().revision(),
            e);
      }
    } finally {
      refreshing.set(false);
    }
  }

  private void postpone(Snapshot old) {
    publishing.lock();
    try {
      if (old.equals(current)) {
        long hard = old.loadedNanos() + shared.hardNanos;
        long next = shared.nanoClock.getAsLong() + shared.refreshNanos;
        current = old.postponed(next - hard < 0 ? next : hard);
      }
    } finally {
      publishing.unlock();
    }
  }

  /** Whether this process has ever authenticated a document of this keyset. */
  boolean isKnown() {
    Snapshot snapshot = current;
    return snapshot != null && snapshot.isAuthenticated();
  }

  long nanoTime() {
    return shared.nanoClock.getAsLong();
  }

  /** Reads the keyset now, whatever is known, and makes every later operation see it. */
  Snapshot readNow() {
    requireOpen();
    if (current == null) {
      // Shares the root key's call with operations that meet the keyset for the first time at this
      // moment.
      reads.run(() -> read(0));
    }
    return read(0);
  }

  private Snapshot read(int wanted) {
    long started = shared.nanoClock.getAsLong();
    return publish(shared.reader.read(id, wanted, current), started);
  }

  /**
   * Makes {@code loaded} what every later operation sees, unless something newer already is. Takes
   * its keys over.
   *
   * @return what later operations see
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
          if (!before.hasContentOf(loaded)) {
            discard(loaded, kept);
            throw new KeysetCorruptedException(
                id,
                "there are two different documents of revision " + loaded.keyset().revision(),
                null);
          }
          discard(loaded, kept);
          return confirm(before, startedNanos);
        }
      }
      if (kept != null && kept != loaded.documentKey()) {
        retired.add(kept);
      }
      Snapshot next =
          new Snapshot(
              loaded.keyset(),
              loaded.mac(),
              loaded.documentKey(),
              startedNanos,
              startedNanos + shared.refreshNanos);
      current = next;
      updateKeys(loaded, before);
      return next;
    } finally {
      publishing.unlock();
    }
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

  private Snapshot confirm(Snapshot before, long startedNanos) {
    if (startedNanos - before.loadedNanos() < 0) {
      return before;
    }
    Snapshot next = before.confirmed(startedNanos, startedNanos + shared.refreshNanos);
    current = next;
    return next;
  }

  private void updateKeys(Loaded loaded, @Nullable Snapshot before) {
    for (KeyVersion version : loaded.keyset().versions()) {
      KeyVersion old = before == null ? null : before.keyset().find(version.number());
      if (old != null && old.state().allowsAny() && !version.state().allowsAny()) {
        shared.keys.remove(new VersionId(id, version.number()));
      }
    }
    if (loaded.key() != null) {
      shared.keys.put(new VersionId(id, loaded.key().version()), loaded.key());
    }
  }

  /**
   * Lends an unwrapped key version to {@code use}, which may be called again if the key is closed
   * under it.
   *
   * @param snapshot the keyset that the caller works on; if the version must be unwrapped, the
   *     newest one that this process knows has to allow that too
   * @throws KeyUnavailableException if the version may not be used any more
   * @throws KeysetCorruptedException if the root key finds the stored key altered
   * @throws RootKeyException if the version must be unwrapped and the root key fails
   * @throws IllegalStateException if closed
   */
  public <T> T withKeyEncryptionKey(
      Keyset snapshot, int version, Function<KeyEncryptionKey, T> use) {
    snapshot.requireUse(version, ANY_USE);
    VersionId key = new VersionId(id, version);
    Supplier<KeyEncryptionKey> loader = () -> unwrap(version);
    for (int attempt = 0; attempt < CACHED_ATTEMPTS; attempt++) {
      Held<KeyEncryptionKey> held = hold(key, loader);
      try {
        return use.apply(held.value());
      } catch (KeyClosedException e) {
        // Expired, crowded out or revoked between finding and using it; unwrapping it anew tells
        // which.
        requireOpen();
      } finally {
        held.closeIfUncached();
      }
    }
    try (KeyEncryptionKey own = loader.get()) {
      return use.apply(own);
    }
  }

  private Held<KeyEncryptionKey> hold(VersionId key, Supplier<KeyEncryptionKey> loader) {
    Held<KeyEncryptionKey> held = shared.keys.getIfPresent(key);
    if (held == null) {
      return shared.keys.load(key, loader);
    }
    if (held.needsRenewal(shared.nanoClock.getAsLong())) {
      shared.keys.renew(key, held, loader);
    }
    return held;
  }

  private KeyEncryptionKey unwrap(int version) {
    Snapshot newest = requireCurrent();
    newest.keyset().requireUse(version, ANY_USE);
    KeyVersion found = newest.keyset().find(version);
    WrappedKey wrapped = found == null ? null : found.wrapped();
    DocumentKey documentKey = newest.documentKey();
    if (wrapped == null || documentKey == null) {
      throw new AssertionError("a usable version has material and an authenticated document");
    }
    try (VersionSecret secret = shared.rootCalls.unwrap(id, version, wrapped)) {
      if (!secret.belongsWith(documentKey)) {
        throw new KeysetCorruptedException(
            id, "version " + version + " was wrapped with another document key", null);
      }
      return secret.keyEncryptionKey(version);
    }
  }

  private Snapshot requireCurrent() {
    Snapshot snapshot = current;
    if (snapshot == null) {
      requireOpen();
      throw new IllegalStateException("keyset " + id + " has not been read yet");
    }
    return snapshot;
  }

  private void requireOpen() {
    if (closed) {
      throw closedKeysets();
    }
  }

  private static IllegalStateException closedKeysets() {
    return new IllegalStateException("the Kms is closed");
  }

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
