package dev.sealwax.kms.keyset;

import dev.sealwax.kms.cache.RecentFailures;
import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The only place that calls a root key: binds what it wraps to keyset and version, counts and
 * reports the calls.
 *
 * <p>The root key stays its caller's. Safe for any thread.
 */
final class RootCalls {
  /** Hears that the root key has denied a key version, or said that it is disabled. */
  @FunctionalInterface
  interface Denials {
    void heard(KeysetId keyset, int version, WrappedKey wrapped);
  }

  /** How long a failed unwrap answers for the root key, which may bill or throttle each call. */
  static final Duration FAILURE_PAUSE = Duration.ofMillis(100);

  /** What was asked of the root key; after a move to another one it is another question. */
  private record Unwrapping(KeysetId keyset, int version, WrappedKey wrapped) {}

  /**
   * What is switched on or off at once: a root key; of a quorum, whose versions may have different
   * holders, a version.
   */
  private record Switch(@Nullable RootKeyId rootKey, @Nullable VersionId version) {
    static Switch of(KeysetId keyset, int version, WrappedKey wrapped) {
      return QuorumRootKey.isQuorum(wrapped.rootKeyId())
          ? new Switch(null, new VersionId(keyset, version))
          : new Switch(wrapped.rootKeyId(), null);
    }
  }

  private static final class Counts {
    final LongAdder wraps = new LongAdder();
    final LongAdder unwraps = new LongAdder();
    final LongAdder failures = new LongAdder();
  }

  private final RootKey rootKey;
  private final Announcer announcer;
  private final LongSupplier nanoClock;
  private final Counts counts;
  private final Denials denials;
  private final RecentFailures<Unwrapping, KmsException> failed;
  // Those that last said they are switched off: an outage that follows must not hide it. With the
  // number of calls begun until then, as an answer to one of these is no newer.
  private final Map<Switch, Long> switchedOff = new ConcurrentHashMap<>();
  private final AtomicLong begun = new AtomicLong();

  RootCalls(RootKey rootKey, Announcer announcer, LongSupplier nanoClock, Denials denials) {
    this(rootKey, announcer, nanoClock, denials, new Counts());
  }

  private RootCalls(
      RootKey rootKey,
      Announcer announcer,
      LongSupplier nanoClock,
      Denials denials,
      Counts counts) {
    this.rootKey = rootKey;
    this.announcer = announcer;
    this.nanoClock = nanoClock;
    this.counts = counts;
    this.denials = denials;
    this.failed = new RecentFailures<>(nanoClock, FAILURE_PAUSE);
  }

  /** The same counters over another root key, which has no say in what is in use. */
  RootCalls over(RootKey other) {
    return new RootCalls(other, announcer, nanoClock, (keyset, version, wrapped) -> {}, counts);
  }

  RootKeyId currentKeyId() {
    return rootKey.currentKeyId();
  }

  WrappedKey wrap(KeysetId keyset, int version, VersionSecret secret, RootKeyRule rule) {
    return announcer.reporting(
        Operation.ROOT_WRAP,
        keyset,
        version,
        () -> {
          try {
            WrappedKey wrapped =
                secret.use(material -> rootKey.wrap(material, context(keyset, version), rule));
            counts.wraps.increment();
            return wrapped;
          } catch (RootKeyException e) {
            counts.failures.increment();
            throw e;
          }
        });
  }

  /**
   * Unwraps a key version; the caller closes the result. A failure of less than {@link
   * #FAILURE_PAUSE} ago is thrown again without a call.
   *
   * @throws KeysetCorruptedException if the root key finds the stored bytes altered, or made for
   *     something else
   * @throws RootKeyException if the root key cannot tell
   */
  VersionSecret unwrap(KeysetId keyset, int version, WrappedKey wrapped) {
    Unwrapping unwrapping = new Unwrapping(keyset, version, wrapped);
    try {
      failed.rethrow(unwrapping);
    } catch (RootKeyException e) {
      hearDenial(e, unwrapping); // that it is switched off was noted when it was said
      throw e;
    }
    return announcer.reporting(
        Operation.ROOT_UNWRAP,
        keyset,
        version,
        () -> {
          try {
            return unwrapNow(keyset, version, wrapped);
          } catch (RootKeyException | KeysetCorruptedException e) {
            counts.failures.increment();
            if (!Thread.currentThread().isInterrupted()) {
              failed.remember(unwrapping, e); // else it may be this thread's, and nobody else's
            }
            if (e instanceof RootKeyException failure) {
              hear(failure, unwrapping);
            }
            throw e;
          }
        });
  }

  /** Before a listener is told, who may ask for the key. */
  private void hear(RootKeyException failure, Unwrapping of) {
    if (failure.reason() == Reason.DISABLED) {
      switchedOff.merge(Switch.of(of.keyset(), of.version(), of.wrapped()), begun.get(), Math::max);
    }
    hearDenial(failure, of);
  }

  private void hearDenial(RootKeyException failure, Unwrapping of) {
    if (isDenial(failure)) {
      denials.heard(of.keyset(), of.version(), of.wrapped());
    }
  }

  /** Whether somebody has decided that the key is not to be used, as far as the root key says. */
  static boolean isDenial(RootKeyException failure) {
    return failure.reason() == Reason.ACCESS_DENIED || failure.reason() == Reason.DISABLED;
  }

  private VersionSecret unwrapNow(KeysetId keyset, int version, WrappedKey wrapped) {
    long call = begun.incrementAndGet();
    KeyMaterial material;
    try {
      material = QuorumRootKey.unwrapBy(rootKey, wrapped, context(keyset, version));
    } catch (RootKeyException e) {
      if (e.reason() == Reason.INVALID_CIPHERTEXT) {
        throw new KeysetCorruptedException(
            keyset, "the root key rejects the wrapped key of version " + version, e);
      }
      throw e;
    }
    counts.unwraps.increment();
    switchedOff.computeIfPresent(
        Switch.of(keyset, version, wrapped),
        (key, heardAfter) -> call > heardAfter ? null : heardAfter);
    if (material.lengthBytes() != VersionSecret.BYTES) {
      int length = material.lengthBytes();
      material.close();
      throw new KeysetCorruptedException(
          keyset,
          "version " + version + " unwraps to " + length + " bytes, not " + VersionSecret.BYTES,
          null);
    }
    return new VersionSecret(material);
  }

  /** Whether the root key has said that it is switched off, and has not unwrapped since. */
  boolean isSwitchedOff(KeysetId keyset, int version, WrappedKey wrapped) {
    return switchedOff.containsKey(Switch.of(keyset, version, wrapped));
  }

  /** Tells that a key version has served though the root key could not unwrap it anew. */
  void reportOutlived(KeysetId keyset, int version, long ageNanos) {
    announcer.tell(
        new KmsEvent(
            Operation.OUTAGE_SERVED,
            keyset,
            version,
            KmsEvent.Change.NONE,
            KmsEvent.CacheResult.HIT,
            KmsEvent.Outcome.SUCCESS,
            0,
            Duration.ofNanos(ageNanos),
            null));
  }

  private static EncryptionContext context(KeysetId keyset, int version) {
    return EncryptionContext.of(
        "sealwax",
        "key-version/v1",
        "keyset",
        keyset.value(),
        "version",
        Integer.toString(version));
  }

  long wraps() {
    return counts.wraps.sum();
  }

  long unwraps() {
    return counts.unwraps.sum();
  }

  long failures() {
    return counts.failures.sum();
  }
}
