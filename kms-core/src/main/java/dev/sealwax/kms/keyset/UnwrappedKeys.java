package dev.sealwax.kms.keyset;

import dev.sealwax.kms.cache.Held;
import dev.sealwax.kms.cache.KeyCache;
import dev.sealwax.kms.crypto.KeyClosedException;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Duration;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiFunction;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Lends the unwrapped versions of one keyset, which the cache that all keysets share owns; one that
 * the root key denies or says is disabled is dropped at once, be its time over or not. Safe for any
 * thread.
 */
final class UnwrappedKeys {
  // Only a cache much smaller than the set of versions in use can drop a key as fast as this.
  private static final int CACHED_ATTEMPTS = 3;

  /** Every state that allows anything allows this. */
  private static final KeyUse ANY_USE = KeyUse.REENCRYPT;

  private final KeysetId id;
  private final PublishedSnapshot published;
  private final KeyCache<VersionId, KeyEncryptionKey> keys;
  private final RootCalls rootCalls;
  private final CachePolicy policy;
  private final LongSupplier nanoClock;
  // One for each version in use, of a keyset that may be one of many: starts small.
  private final ConcurrentHashMap<Integer, RootConsent> consents = new ConcurrentHashMap<>(1);

  UnwrappedKeys(KeysetId id, PublishedSnapshot published, OpenKeyset.Shared shared) {
    this.id = id;
    this.published = published;
    this.keys = shared.keys();
    this.rootCalls = shared.rootCalls();
    this.policy = shared.keyVersions();
    this.nanoClock = shared.nanoClock();
  }

  /** As {@link OpenKeyset#withKeyEncryptionKey}. */
  <T> T with(
      Keyset snapshot,
      int version,
      KeyUse purpose,
      BiFunction<KeyEncryptionKey, RootConsent, T> use) {
    snapshot.requireUse(version, ANY_USE);
    VersionId key = new VersionId(id, version);
    Supplier<KeyEncryptionKey> loader = () -> unwrap(version);
    for (int attempt = 0; attempt < CACHED_ATTEMPTS; attempt++) {
      RootConsent consent = consent(version);
      Held<KeyEncryptionKey> held = hold(key, loader, purpose);
      try {
        return use.apply(held.value(), consent);
      } catch (KeyClosedException e) {
        // Expired, crowded out or revoked between finding and using it; unwrapping it anew tells
        // which.
        published.requireOpen();
      } finally {
        held.closeIfUncached();
      }
    }
    RootConsent consent = consent(version);
    try (KeyEncryptionKey own = loader.get()) {
      return use.apply(own, consent);
    }
  }

  private Held<KeyEncryptionKey> hold(
      VersionId key, Supplier<KeyEncryptionKey> loader, KeyUse purpose) {
    Held<KeyEncryptionKey> held = keys.getIfPresent(key);
    if (held == null) {
      return load(key, loader, purpose);
    }
    keys.hit(held);
    if (held.needsRenewal(nanoClock.getAsLong())) {
      keys.renew(key, held, loader);
    }
    return held;
  }

  private Held<KeyEncryptionKey> load(
      VersionId key, Supplier<KeyEncryptionKey> loader, KeyUse purpose) {
    Duration window = purpose == KeyUse.ENCRYPT ? policy.staleToEncrypt() : policy.staleToDecrypt();
    if (window.isZero() || isSwitchedOff(key.version())) {
      return keys.load(key, loader);
    }
    Held<KeyEncryptionKey> held = keys.loadOrOutlived(key, loader, window);
    if (held.isOutlived()) {
      rootCalls.reportOutlived(id, key.version(), held.ageNanos(nanoClock.getAsLong()));
    }
    return held;
  }

  private boolean isSwitchedOff(int version) {
    KeyVersion found = published.require().keyset().find(version);
    WrappedKey wrapped = found == null ? null : found.wrapped();
    return wrapped != null && rootCalls.isSwitchedOff(id, version, wrapped);
  }

  private KeyEncryptionKey unwrap(int version) {
    Snapshot newest = published.require();
    newest.keyset().requireUse(version, ANY_USE);
    KeyVersion found = newest.keyset().find(version);
    WrappedKey wrapped = found == null ? null : found.wrapped();
    DocumentKey documentKey = newest.documentKey();
    if (wrapped == null || documentKey == null) {
      throw new AssertionError("a usable version has material and an authenticated document");
    }
    try (VersionSecret secret = rootCalls.unwrap(id, version, wrapped)) {
      if (!secret.belongsWith(documentKey)) {
        throw new KeysetCorruptedException(
            id, "version " + version + " was wrapped with another document key", null);
      }
      return secret.keyEncryptionKey(version);
    }
  }

  /** To be got before the key: a denial between the two must find it given. */
  private RootConsent consent(int version) {
    return consents.computeIfAbsent(version, any -> new RootConsent());
  }

  /**
   * Withdraws the consent to a version and drops its key, if {@code wrapped} is what is in use of
   * it: what another root key says that a document names is not this one's word.
   */
  void denied(int version, WrappedKey wrapped) {
    // The key first: whoever gets a new consent must find no key that is older.
    if (!published.deny(version, wrapped)) {
      return;
    }
    RootConsent given = consents.remove(version);
    if (given != null) {
      given.withdraw();
    }
  }
}
