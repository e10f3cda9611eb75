package dev.sealwax.kms.keyset;

import dev.sealwax.kms.cache.KeyCache;
import dev.sealwax.kms.crypto.UsageMeter;
import dev.sealwax.kms.keyset.KeysetReader.Loaded;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Clock;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

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
   * For so long after a word of a write the keyset is read at every interval, whatever the store
   * says: the one who told may be ahead of the one who was read, such as a replica.
   */
  private static final long SETTLING_NANOS = TimeUnit.SECONDS.toNanos(10);

  /** For so long a store is believed that says nothing was written. */
  private static final long BELIEF_NANOS = TimeUnit.MINUTES.toNanos(1);

  /**
   * What the keysets of a process share.
   *
   * @param wallClock says what has expired
   * @param watch tells what was written, if the store can
   * @param keyVersions how long unwrapped versions serve
   * @param usage tells the store what is encrypted, where a policy wants to know
   * @param refreshNanos age from which a snapshot is read again in the background
   * @param hardNanos age from which a snapshot serves nobody
   */
  record Shared(
      KeysetReader reader,
      RootCalls rootCalls,
      KeyCache<VersionId, KeyEncryptionKey> keys,
      CachePolicy keyVersions,
      LongSupplier nanoClock,
      Clock wallClock,
      Background background,
      @Nullable KeysetWatch watch,
      UsageReports usage,
      long refreshNanos,
      long hardNanos) {
    /**
     * Age from which an operation waits for the read that it has caused. A keyset in use never gets
     * there; one that was idle must not start with what was true before the pause.
     */
    long overdueNanos() {
      return refreshNanos + refreshNanos / 2;
    }

    /**
     * Age from which the store's word that nothing was written serves nobody: half an interval more
     * than one, so that its next word is there before it is asked for; or the hard time to live, if
     * that is shorter.
     */
    long wordNanos() {
      return Math.min(overdueNanos(), hardNanos);
    }
  }

  /** A document that was refused while nothing else is known that may serve, and when. */
  private record Refusal(KeysetCorruptedException why, long endedNanos) {}

  private final KeysetId id;
  private final Shared shared;
  private final PublishedSnapshot published;
  private final UnwrappedKeys keys;
  private final SingleFlight<Snapshot> reads = new SingleFlight<>();
  private final VersionLooks looks;
  private final BackgroundRefresh refresh;
  // How often the store has told of a write, when it last did, and how many of these words a read
  // that is published began after.
  private final AtomicLong told = new AtomicLong();
  private final AtomicLong heeded = new AtomicLong();
  private volatile long toldNanos;
  private final AtomicInteger writers = new AtomicInteger();
  private volatile @Nullable Refusal lastRefusal;

  OpenKeyset(KeysetId id, Shared shared) {
    this.id = id;
    this.shared = shared;
    this.published = new PublishedSnapshot(id, shared);
    this.keys = new UnwrappedKeys(id, published, shared);
    this.looks = new VersionLooks(shared.nanoClock, this::read);
    this.refresh =
        new BackgroundRefresh(
            id,
            shared.background,
            shared.refreshNanos,
            new BackgroundRefresh.Work() {
              @Override
              public boolean readFromStore() {
                return OpenKeyset.this.readFromStore();
              }

              @Override
              public void readWithRootKey() {
                reads.run(() -> read(0));
              }

              @Override
              public void onFailure() {
                published.postpone();
              }
            });
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
    Snapshot snapshot = published.get();
    if (snapshot != null
        && shared.nanoClock.getAsLong() - snapshot.refreshNanos() < 0
        && (wantedVersion == 0 || snapshot.keyset().has(wantedVersion))) {
      return snapshot.keyset();
    }
    return freshened(snapshot, wantedVersion).keyset();
  }

  /**
   * As {@link #snapshot}, for an operation that will wrap a data key under the primary.
   *
   * @throws KeysetCorruptedException also if the stored document was found damaged or of another
   *     history since the snapshot was taken: what is wrapped now might never be opened
   * @throws KeysetStoreException also if the document was found missing since then
   * @throws RootKeyException also if the document has changed since then and the root key denied
   *     what it takes to authenticate it
   */
  public Keyset snapshotToWrap(int wantedVersion) {
    Snapshot snapshot = published.get();
    if (snapshot == null
        || snapshot.doubt() != null
        || shared.nanoClock.getAsLong() - snapshot.refreshNanos() >= 0
        || (wantedVersion != 0 && !snapshot.keyset().has(wantedVersion))) {
      snapshot = freshened(snapshot, wantedVersion);
      if (snapshot.doubt() != null) {
        throw snapshot.doubt().why().forAnotherCaller();
      }
    }
    return snapshot.keyset();
  }

  /**
   * Meters what is encrypted under a version; null if the keyset's rotation policy does not ask for
   * it.
   */
  @SuppressWarnings("exports") // for the envelope package only
  public @Nullable UsageMeter meter(Keyset snapshot, int version) {
    return shared.usage.meter(this, snapshot, version);
  }

  private Snapshot freshened(@Nullable Snapshot snapshot, int wanted) {
    published.requireOpen();
    long now = shared.nanoClock.getAsLong();
    Snapshot usable = snapshot == null ? null : published.withoutExpired(snapshot);
    if (usable == null || now - usable.knownNanos() >= shared.hardNanos) {
      usable = firstRead(wanted, now);
    } else if (now - usable.refreshNanos() >= 0) {
      Snapshot confirmed = confirmedByWatch(usable, now);
      usable = confirmed != null ? confirmed : refreshed(usable, wanted, now);
    }
    if (wanted == 0 || usable.keyset().has(wanted) || wanted > Keyset.MAX_VERSIONS) {
      return usable;
    }
    looks.lookFor(wanted, () -> published.require().keyset().has(wanted));
    return published.require();
  }

  /**
   * Reads a keyset of which nothing usable is known. A document that is refused is not read again
   * for a moment: each time would cost a call of the root key.
   */
  private Snapshot firstRead(int wanted, long now) {
    Refusal last = lastRefusal;
    if (last != null && now - last.endedNanos() < RootCalls.FAILURE_PAUSE.toNanos()) {
      throw last.why().forAnotherCaller();
    }
    try {
      return reads.run(() -> readUnlessKnown(wanted));
    } catch (KeysetCorruptedException e) {
      lastRefusal = new Refusal(e, shared.nanoClock.getAsLong());
      throw e;
    }
  }

  /** Not again what another has read between the caller's look and its turn. */
  private Snapshot readUnlessKnown(int wanted) {
    Snapshot known = published.get();
    return known != null && shared.nanoClock.getAsLong() - known.refreshNanos() < 0
        ? known
        : read(wanted);
  }

  /** Runs a change of the stored keyset by this process. */
  <T> T writing(Supplier<T> change) {
    writers.incrementAndGet();
    try {
      return change.get();
    } finally {
      writers.decrementAndGet();
    }
  }

  /** To be called when somebody may have written the keyset: its next use looks. */
  void mayBeWritten() {
    toldNanos = shared.nanoClock.getAsLong();
    told.incrementAndGet();
  }

  /** To be called when somebody has written the keyset: it is read at once. */
  void written() {
    mayBeWritten();
    // What this process is writing itself it will know in a moment; reading it before that would
    // find a document that does not fit, and ask the root key why.
    if (published.get() != null && writers.get() == 0) {
      refresh.start();
    }
  }

  /**
   * The snapshot as of the moment at which the store last said that nothing else was written; null
   * if it must be read.
   */
  private @Nullable Snapshot confirmedByWatch(Snapshot snapshot, long now) {
    KeysetWatch watch = shared.watch;
    if (watch == null || !watch.isConfirming()) {
      return null;
    }
    // In this order: the watch marks what was written before it confirms the rest.
    long confirmed = watch.confirmedNanos();
    if (heeded.get() != told.get()
        || (told.get() > 0 && now - toldNanos < SETTLING_NANOS)
        || snapshot.doubt() != null
        || !snapshot.isAuthenticated()
        || now - confirmed >= shared.wordNanos()
        || confirmed - snapshot.knownNanos() <= 0
        || confirmed - snapshot.readNanos() >= Math.min(BELIEF_NANOS, shared.hardNanos / 4)) {
      return null;
    }
    return published.confirm(snapshot, confirmed, confirmed + shared.wordNanos());
  }

  private Snapshot refreshed(Snapshot old, int wanted, long now) {
    if (now - old.knownNanos() < shared.overdueNanos()) {
      refresh.start();
      return old;
    }
    refresh.startAndWait();
    Snapshot latest = published.require();
    // Its hard time may have ended while it was waited for.
    long after = shared.nanoClock.getAsLong();
    return after - latest.knownNanos() < shared.hardNanos ? latest : firstRead(wanted, after);
  }

  /** Whether this process has ever authenticated a document of this keyset. */
  boolean isKnown() {
    Snapshot snapshot = published.get();
    return snapshot != null && snapshot.isAuthenticated();
  }

  long nanoTime() {
    return shared.nanoClock.getAsLong();
  }

  /** Reads the keyset now, whatever is known, and makes every later operation see it. */
  Snapshot readNow() {
    published.requireOpen();
    if (published.get() == null) {
      // Shares the root key's call with operations that meet the keyset for the first time at this
      // moment.
      reads.run(() -> read(0));
    }
    return read(0);
  }

  private Snapshot read(int wanted) {
    Snapshot read = readAndPublish(known -> shared.reader.read(id, wanted, known));
    if (read == null) {
      throw new AssertionError("a read that may use the root key yields a keyset or throws");
    }
    return read;
  }

  private boolean readFromStore() {
    return readAndPublish(
            known ->
                known == null || !known.isAuthenticated()
                    ? null
                    : shared.reader.readFromStore(id, known))
        != null;
  }

  private @Nullable Snapshot readAndPublish(
      Function<@Nullable Snapshot, @Nullable Loaded> reading) {
    published.requireOpen(); // who waited for its turn may find the store closed
    long started = shared.nanoClock.getAsLong();
    long toldBefore = told.get();
    Snapshot known = published.get();
    try {
      Loaded loaded = reading.apply(known);
      if (loaded == null) {
        return null;
      }
      Snapshot result = published.publish(loaded, started);
      heeded.accumulateAndGet(toldBefore, Math::max);
      return result;
    } catch (KmsException e) {
      if (isDoubt(e)) {
        published.doubt(known, e, started);
      }
      throw e;
    }
  }

  /** Whether a failed read means that the stored document may not be the one that is known. */
  static boolean isDoubt(Exception e) {
    return e instanceof KeysetCorruptedException
        || (e instanceof KeysetStoreException store
            && store.reason() == KeysetStoreException.Reason.NOT_FOUND)
        // It was written, and this process may not know what.
        || (e instanceof RootKeyException root && RootCalls.isDenial(root));
  }

  /** As {@link PublishedSnapshot#publish}. */
  Snapshot publish(Loaded loaded, long startedNanos) {
    return published.publish(loaded, startedNanos);
  }

  /**
   * Lends an unwrapped key version to {@code use}, with the consent of the root key to what {@code
   * use} makes with it; may be called again if the key is closed under it.
   *
   * @param snapshot the keyset that the caller works on; if the version must be unwrapped, the
   *     newest one that this process knows has to allow that too
   * @param purpose says how long the version may serve in an outage of the root key; what the
   *     snapshot allows is the caller's to check
   * @throws KeyUnavailableException if the version may not be used any more
   * @throws KeysetCorruptedException if the root key finds the stored key altered
   * @throws RootKeyException if the version must be unwrapped and the root key fails
   * @throws IllegalStateException if closed
   */
  public <T> T withKeyEncryptionKey(
      Keyset snapshot,
      int version,
      KeyUse purpose,
      BiFunction<KeyEncryptionKey, RootConsent, T> use) {
    return keys.with(snapshot, version, purpose, use);
  }

  /** To be called when the root key has denied a version, or said that it is disabled. */
  void denied(int version, WrappedKey wrapped) {
    keys.denied(version, wrapped);
  }

  void close() {
    refresh.close();
    published.close();
  }
}
