package dev.sealwax.kms.envelope;

import dev.sealwax.kms.cache.Held;
import dev.sealwax.kms.cache.KeyCache;
import dev.sealwax.kms.crypto.UsageBudget;
import dev.sealwax.kms.keyset.Background;
import dev.sealwax.kms.keyset.KeyUse;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.OpenKeyset;
import dev.sealwax.kms.keyset.RootConsent;
import dev.sealwax.kms.vocabulary.CacheStatistics;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The data keys of one process: makes, unwraps and rewraps them, and keeps them in the two caches
 * of the policy.
 *
 * <p>Whether a cached key may still be used is decided per operation against the current keyset
 * snapshot, so a disabled version is refused by the very next operation no matter what is cached;
 * and what is cached of a version that the root key has denied is dropped, so that it is asked.
 * Safe for concurrent use.
 */
final class DataKeys implements AutoCloseable {
  /** What a key that encrypts is found by. */
  record Purpose(KeysetId keyset, AlgorithmSuite suite) {}

  /**
   * What a key that decrypts is found by: keyset, version, and the first 16 bytes of its wrapping,
   * which AES-KWP makes look random. A hit still has to match the whole header.
   */
  record Wrapping(KeysetId keyset, int version, long first, long second) {
    @Override
    public int hashCode() {
      return Long.hashCode(first);
    }

    // By hand, and in this order: what differs is told without another object being read.
    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Wrapping that
          && first == that.first
          && second == that.second
          && version == that.version
          && keyset.equals(that.keyset);
    }
  }

  /** A bare data key, to be wiped, and the consent to what comes of it. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Unwrapped(byte[] dataKey, RootConsent consent) {}

  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.BIG_ENDIAN);
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

  private final DataKeyPolicy policy;
  private final LongSupplier nanoClock;
  private final SecureRandom random;
  private final Traffic traffic;
  private final KeyCache<Purpose, DataKey> encrypting;
  private final KeyCache<Wrapping, DataKey> decrypting;

  DataKeys(DataKeyPolicy policy, Background background, SecureRandom random, Traffic traffic) {
    this.policy = policy;
    this.nanoClock = background.nanoClock();
    this.random = random;
    this.traffic = traffic;
    this.encrypting =
        new KeyCache<>(policy.encryptCache(), nanoClock, background.renewer(), background.timer());
    this.decrypting =
        new KeyCache<>(policy.decryptCache(), nanoClock, background.renewer(), background.timer());
  }

  SecureRandom random() {
    return random;
  }

  /**
   * A cached key that may encrypt under {@code snapshot}, or null; whoever encrypts with it counts
   * that with {@link #hit}.
   */
  @Nullable Held<DataKey> cachedToEncrypt(Purpose purpose, OpenKeyset keyset, Keyset snapshot) {
    Held<DataKey> held = encrypting.getIfPresent(purpose);
    if (held == null) {
      return null;
    }
    if (held.value().isWithdrawn()
        || (!held.value().isFitToEncrypt(snapshot) && !becomesFit(purpose, held, snapshot))) {
      encrypting.remove(purpose, held);
      return null;
    }
    if (held.needsRenewal(nanoClock.getAsLong())) {
      encrypting.renew(purpose, held, () -> make(purpose, keyset, keyset.snapshot(0)));
    }
    return held;
  }

  /** Counts a key that {@link #cachedToEncrypt} gave, and whose budget was not spent. */
  void hit(Held<DataKey> held) {
    encrypting.hit(held);
  }

  /** A new key that may encrypt; the caller calls {@link Held#closeIfUncached} after use. */
  Held<DataKey> makeToEncrypt(Purpose purpose, OpenKeyset keyset, Keyset snapshot) {
    snapshot.requireUse(snapshot.primary(), KeyUse.ENCRYPT);
    while (true) {
      AtomicBoolean own = new AtomicBoolean();
      Held<DataKey> held;
      try {
        held =
            encrypting.load(
                purpose,
                () -> {
                  own.set(true);
                  return make(purpose, keyset, snapshot);
                });
      } catch (KeyUnavailableException e) {
        if (own.get()) {
          throw e;
        }
        continue; // the primary of another's older snapshot; ours has been found fit
      }
      // A load begun before a rotation or a revocation makes a key of the version before it; one
      // begun before a denial, a key that is withdrawn.
      if (!held.value().isWithdrawn() && becomesFit(purpose, held, snapshot)) {
        return held;
      }
      encrypting.remove(purpose, held);
      held.closeIfUncached();
    }
  }

  /** A key for one message that is too long for any budget; the caller closes it. */
  DataKey makeSingleUse(Purpose purpose, OpenKeyset keyset, Keyset snapshot) {
    snapshot.requireUse(snapshot.primary(), KeyUse.ENCRYPT);
    return generate(
        purpose,
        keyset,
        snapshot,
        new UsageBudget(1, Long.MAX_VALUE, keyset.meter(snapshot, snapshot.primary())));
  }

  /** Takes a key out of use whose budget is spent. */
  void retire(Purpose purpose, Held<DataKey> held) {
    encrypting.remove(purpose, held);
  }

  /** Whether a key that was not held against {@code snapshot} before may encrypt under it. */
  private boolean becomesFit(Purpose purpose, Held<DataKey> held, Keyset snapshot) {
    snapshot.requireUse(snapshot.primary(), KeyUse.ENCRYPT);
    DataKey key = held.value();
    if (key.header().keyVersion() != snapshot.primary()) {
      return false;
    }
    keepToDecrypt(purpose, held);
    key.markFitToEncrypt(snapshot);
    return true;
  }

  /**
   * What this process encrypts it can decrypt without another unwrap. Not before the key is in use:
   * one that is rejected would stay behind.
   */
  private void keepToDecrypt(Purpose purpose, Held<DataKey> held) {
    if (policy.decryptCache().isNone() || !held.value().shareOnce()) {
      return;
    }
    Wrapping wrapping = wrapping(purpose.keyset(), held.value().header());
    decrypting.put(wrapping, held.value());
    if (held.isCached() && !encrypting.holds(purpose, held)) {
      // All were discarded in between, the keys to encrypt first; or this one alone, which costs
      // an unwrap at most.
      decrypting.remove(wrapping);
    }
  }

  private DataKey make(Purpose purpose, OpenKeyset keyset, Keyset snapshot) {
    return generate(
        purpose,
        keyset,
        snapshot,
        new UsageBudget(
            policy.maxMessages(), policy.maxBytes(), keyset.meter(snapshot, snapshot.primary())));
  }

  private DataKey generate(
      Purpose purpose, OpenKeyset keyset, Keyset snapshot, UsageBudget budget) {
    return keyset.withKeyEncryptionKey(
        snapshot,
        snapshot.primary(),
        KeyUse.ENCRYPT,
        (kek, consent) ->
            DataKey.generate(
                purpose.suite(), purpose.keyset(), kek, consent, budget, random, traffic));
  }

  KeysAtHand keysAtHand() {
    return new KeysAtHand(nanoClock);
  }

  /**
   * A cached key whose header {@code envelope} starts with, byte for byte, or null; {@code atHand}
   * remembers it.
   *
   * @param wrappingPosition where the wrapped data key starts if the envelope is of this keyset
   */
  @Nullable Held<DataKey> cachedToDecrypt(
      byte[] envelope, int wrappingPosition, OpenKeyset keyset, KeysAtHand atHand) {
    if (envelope.length < wrappingPosition + EnvelopeHeader.WRAPPED_LEN) {
      return null;
    }
    Wrapping wrapping = wrapping(keyset, envelope, wrappingPosition);
    Held<DataKey> held = decrypting.getIfPresent(wrapping);
    if (held == null) {
      return null;
    }
    EnvelopeHeader found = held.value().header();
    if (!found.isPrefixOf(envelope)) {
      return null;
    }
    if (held.value().isWithdrawn()) {
      decrypting.remove(wrapping, held);
      return null;
    }
    decrypting.hit(held);
    if (held.needsRenewal(nanoClock.getAsLong())) {
      decrypting.renew(
          wrapping, held, () -> unwrap(found, keyset, keyset.snapshot(found.keyVersion())));
    }
    atHand.rememberToDecrypt(held);
    return held;
  }

  /**
   * Refuses a key whose version may not decrypt now; cheap when the snapshot of {@code keyset} is
   * the one of last time.
   */
  static void requireFitToDecrypt(DataKey key, OpenKeyset keyset) {
    Keyset snapshot = keyset.snapshot(0);
    if (!key.isFitToDecrypt(snapshot)) {
      snapshot.requireUse(key.header().keyVersion(), KeyUse.DECRYPT);
      key.markFitToDecrypt(snapshot);
    }
  }

  /** Unwraps the key of {@code header}; the caller calls {@link Held#closeIfUncached} after use. */
  Held<DataKey> unwrapToDecrypt(EnvelopeHeader header, OpenKeyset keyset, Keyset snapshot) {
    snapshot.requireUse(header.keyVersion(), KeyUse.DECRYPT);
    AtomicBoolean judged = new AtomicBoolean();
    Held<DataKey> held;
    try {
      held =
          decrypting.load(
              wrapping(keyset.id(), header),
              () -> {
                judged.set(true);
                return unwrap(header, keyset, snapshot);
              });
    } catch (RuntimeException e) {
      if (judged.get() || !(e instanceof KmsException)) {
        throw e;
      }
      // What failed may be another header with the same start of its wrapping, while this one
      // waited.
      return Held.uncached(unwrap(header, keyset, snapshot));
    }
    if (held.value().isWithdrawn()) {
      decrypting.remove(wrapping(keyset.id(), header), held);
    } else if (held.value().header().isPrefixOf(header.encoded())) {
      return held;
    }
    // Withdrawn while it was loaded; or another header with the same start of its wrapping holds
    // the place, and only a forger makes these. Judge this one alone.
    held.closeIfUncached();
    return Held.uncached(unwrap(header, keyset, snapshot));
  }

  /**
   * Unwraps the key of {@code header} for one re-encryption, past the cache; the caller closes it.
   */
  DataKey unwrapToReencrypt(EnvelopeHeader header, OpenKeyset keyset, Keyset snapshot) {
    snapshot.requireUse(header.keyVersion(), KeyUse.REENCRYPT);
    return unwrap(header, keyset, snapshot);
  }

  /** Wraps the data key of {@code header} under the primary; the same header if it already is. */
  EnvelopeHeader rewrap(EnvelopeHeader header, OpenKeyset keyset, Keyset snapshot) {
    snapshot.requireUse(header.keyVersion(), KeyUse.REWRAP);
    snapshot.requireUse(snapshot.primary(), KeyUse.ENCRYPT);
    if (header.keyVersion() == snapshot.primary()) {
      // Still checked: "already moved" must never be said of a forgery.
      unwrap(header, keyset, snapshot).close();
      return header;
    }
    while (true) {
      Unwrapped unwrapped =
          keyset.withKeyEncryptionKey(
              snapshot,
              header.keyVersion(),
              KeyUse.REWRAP,
              (from, consent) -> new Unwrapped(DataKey.unwrapChecked(header, from), consent));
      try {
        EnvelopeHeader moved =
            keyset.withKeyEncryptionKey(
                snapshot,
                snapshot.primary(),
                KeyUse.ENCRYPT,
                (to, consent) -> header.withWrapping(to.version(), to.wrap(unwrapped.dataKey())));
        // Else the version was denied while the primary was unwrapped: ask for it again.
        if (!unwrapped.consent().isWithdrawn()) {
          return moved;
        }
      } finally {
        Arrays.fill(unwrapped.dataKey(), (byte) 0);
      }
    }
  }

  private DataKey unwrap(EnvelopeHeader header, OpenKeyset keyset, Keyset snapshot) {
    return keyset.withKeyEncryptionKey(
        snapshot,
        header.keyVersion(),
        KeyUse.DECRYPT,
        (kek, consent) -> DataKey.unwrap(header, kek, consent, traffic));
  }

  private static Wrapping wrapping(KeysetId keyset, EnvelopeHeader header) {
    return wrapping(keyset, header.encoded(), header.wrappedDataKeyPosition());
  }

  private static Wrapping wrapping(OpenKeyset keyset, byte[] in, int position) {
    return wrapping(keyset.id(), in, position);
  }

  private static Wrapping wrapping(KeysetId keyset, byte[] in, int position) {
    return new Wrapping(
        keyset,
        (int) INT.get(in, position - EnvelopeHeader.KEY_VERSION_LEN),
        (long) LONG.get(in, position),
        (long) LONG.get(in, position + Long.BYTES));
  }

  CacheStatistics encryptStatistics() {
    return encrypting.statistics(traffic.atHandToEncrypt());
  }

  CacheStatistics decryptStatistics() {
    return decrypting.statistics(traffic.atHandToDecrypt());
  }

  /** Drops and wipes every data key; the next operations make and unwrap new ones. */
  void clear() {
    encrypting.clear();
    decrypting.clear();
  }

  @Override
  public void close() {
    encrypting.close();
    decrypting.close();
  }
}
