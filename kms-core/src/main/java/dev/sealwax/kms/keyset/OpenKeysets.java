package dev.sealwax.kms.keyset;

import dev.sealwax.kms.cache.KeyCache;
import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.WatchableKeysetStore;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.CacheStatistics;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsListener;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.ScheduledExecutorService;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The keysets of one process over one store and one root key: what it has authenticated and
 * unwrapped of them.
 *
 * <p>For the use of the façade, which owns it; store, root key and executor stay their owner's.
 * Safe for any thread.
 */
public final class OpenKeysets implements AutoCloseable {
  private final KeyCache<VersionId, KeyEncryptionKey> keys;
  private final RootCalls rootCalls;
  private final OpenKeyset.Shared shared;
  private final Keysets verbs;
  private final @Nullable KeysetWatch watch;
  private final UsageReports usage;
  private final Executor watcher;
  private final ConcurrentHashMap<KeysetId, OpenKeyset> opened = new ConcurrentHashMap<>();
  private volatile boolean closed;

  private OpenKeysets(
      KeysetStore store,
      RootKey rootKey,
      CachePolicy keyVersions,
      Duration refreshInterval,
      Clock wallClock,
      Background background,
      SecureRandom random,
      @Nullable KmsListener listener) {
    Announcer announcer = new Announcer(listener);
    LongSupplier nanoClock = background.nanoClock();
    long refreshNanos = refreshInterval.toNanos();
    this.watcher = background.watcher();
    this.watch =
        store instanceof WatchableKeysetStore watchable
            ? new KeysetWatch(
                watchable, nanoClock, refreshInterval, KeysetWatch.CLOSING_PATIENCE, this::written)
            : null;
    this.rootCalls = new RootCalls(rootKey, announcer, nanoClock, this::denied);
    this.keys = new KeyCache<>(keyVersions, nanoClock, background.renewer(), background.timer());
    this.usage = new UsageReports(new KeysetWriter(store), wallClock, background.refresher());
    this.shared =
        new OpenKeyset.Shared(
            new KeysetReader(store, rootCalls, announcer),
            rootCalls,
            keys,
            keyVersions,
            nanoClock,
            wallClock,
            background,
            watch,
            usage,
            refreshNanos,
            // Without a cache nothing outlives its refresh interval, whether the store can be read
            // or not.
            Math.max(refreshNanos, keyVersions.hardTtl().toNanos()));
    this.verbs = new Keysets(this, store, rootCalls, usage, announcer, wallClock, random);
  }

  /**
   * Opens; reads nothing yet.
   *
   * @param keyVersions how long unwrapped key versions stay; its hard time to live bounds the age
   *     of snapshots too
   * @param refreshInterval age from which a snapshot in use is read again in the background
   * @param wallClock dates the changes made through {@link #keysets}
   */
  public static OpenKeysets open(
      KeysetStore store,
      RootKey rootKey,
      CachePolicy keyVersions,
      Duration refreshInterval,
      Clock wallClock,
      Background background,
      SecureRandom random,
      @Nullable KmsListener listener) {
    if (refreshInterval.isNegative() || refreshInterval.isZero()) {
      throw new IllegalArgumentException(
          "refresh interval must be positive, got " + refreshInterval);
    }
    return new OpenKeysets(
        Objects.requireNonNull(store, "store"),
        Objects.requireNonNull(rootKey, "root key"),
        keyVersions,
        refreshInterval,
        wallClock,
        background,
        random,
        listener);
  }

  /**
   * The keyset of that name; always the same object for a name. Whether it exists shows when it is
   * used.
   *
   * @throws IllegalStateException if closed
   */
  public OpenKeyset open(KeysetId id) {
    OpenKeyset keyset = opened.get(id);
    if (keyset == null) {
      keyset = opened.computeIfAbsent(id, name -> new OpenKeyset(name, shared));
      if (watch != null) {
        watch.start(watcher);
      }
    }
    if (closed) {
      // close() may have walked the map before this one was in it.
      keyset.close();
      throw new IllegalStateException("the Kms is closed");
    }
    return keyset;
  }

  /** Somebody has written a keyset, or any of them if it is null. */
  private void written(@Nullable KeysetId id) {
    if (id == null) {
      opened.values().forEach(OpenKeyset::mayBeWritten);
      return;
    }
    OpenKeyset keyset = opened.get(id);
    if (keyset != null) {
      keyset.written();
    }
  }

  private void denied(KeysetId id, int version, WrappedKey wrapped) {
    OpenKeyset keyset = opened.get(id);
    if (keyset != null) {
      keyset.denied(version, wrapped);
    }
  }

  /**
   * The operator's verbs over these keysets; what they change is seen by the very next operation.
   */
  public Keysets keysets() {
    return verbs;
  }

  /** What the cache of unwrapped key versions has done and holds. */
  public CacheStatistics keyVersionStatistics() {
    return keys.statistics();
  }

  /** How often the root key has unwrapped a key version. */
  public long rootUnwraps() {
    return rootCalls.unwraps();
  }

  /** How often the root key has failed to wrap or unwrap, or found what it was given altered. */
  public long rootFailures() {
    return rootCalls.failures();
  }

  /** How often a root key has wrapped a key version. */
  public long rootWraps() {
    return rootCalls.wraps();
  }

  /**
   * Starts to look after all keysets of the store; what it does is seen by the very next operation.
   *
   * @param executor runs the looks; stays the caller's
   * @param interval about how long from one look to the next
   * @param inventory asked before a version is destroyed, if there is one
   * @return to be closed before these keysets
   * @throws IllegalArgumentException if the interval is not whole seconds within {@link
   *     KeysetScheduler#MIN_INTERVAL} and {@link KeysetScheduler#MAX_INTERVAL}
   */
  public KeysetScheduler startScheduler(
      ScheduledExecutorService executor,
      Duration interval,
      SchedulerListener listener,
      @Nullable VersionUse inventory) {
    KeysetScheduler scheduler =
        verbs.scheduler(shared.nanoClock(), executor, interval, listener, inventory);
    scheduler.start();
    return scheduler;
  }

  void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the Kms is closed");
    }
  }

  /**
   * Reports what was encrypted and not reported yet, if the store lets it, then wipes every key;
   * operations under way end well or with {@link IllegalStateException}.
   */
  @Override
  public void close() {
    if (!closed) {
      usage.reportAll();
    }
    closed = true;
    if (watch != null) {
      watch.close();
    }
    opened.values().forEach(OpenKeyset::close);
    keys.close();
  }
}
