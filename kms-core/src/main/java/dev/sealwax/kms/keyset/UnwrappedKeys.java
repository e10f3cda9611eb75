package dev.sealwax.kms.keyset;

import dev.sealwax.kms.cache.Held;
import dev.sealwax.kms.cache.KeyCache;
import dev.sealwax.kms.crypto.KeyClosedException;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
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
  <T> T with(Keyset snapshot, int version, KeyUse purpose, Function<KeyEncryptionKey, T> use) {
    snapshot.requireUse(version, ANY_USE);
    VersionId key = new VersionId(id, version);
    Supplier<KeyEncryptionKey> loader = () -> unwrap(version);
    for (int attempt = 0; attempt < CACHED_ATTEMPTS; attempt++) {
      Held<KeyEncryptionKey> held = hold(key, loader, purpose);
      try {
        return use.apply(held.value());
      } catch (KeyClosedException e) {
        // Expired, crowded out or revoked between finding and using it; unwrapping it anew tells
        // which.
        published.requireOpen();
      } finally {
        held.closeIfUncached();
      }
    }
    try (KeyEncryptionKey own = loader.get()) {
      return use.apply(own);
    }
  }

  private Held<KeyEncryptionKey> hold(
      VersionId key, Supplier<KeyEncryptionKey> loader, KeyUse purpose) {
    Held<KeyEncryptionKey> held = keys.getIfPresent(key);
    if (held == null) {
      return load(key, loader, purpose);
    }
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
    try (VersionSecret secret = unwrapped(version, wrapped)) {
      if (!secret.belongsWith(documentKey)) {
        throw new KeysetCorruptedException(
            id, "version " + version + " was wrapped with another document key", null);
      }
      return secret.keyEncryptionKey(version);
    }
  }

  private VersionSecret unwrapped(int version, WrappedKey wrapped) {
    try {
      return rootCalls.unwrap(id, version, wrapped);
    } catch (RootKeyException e) {
      if (e.reason() == Reason.ACCESS_DENIED || e.reason() == Reason.DISABLED) {
        withdraw(version);
      }
      throw e;
    }
  }

  /** As {@link OpenKeyset#consent}. */
  RootConsent consent(int version) {
    return consents.computeIfAbsent(version, any -> new RootConsent());
  }

  /** The key first: whoever gets a new consent must find none that is older. */
  private void withdraw(int version) {
    published.deny(version);
    RootConsent given = consents.remove(version);
    if (given != null) {
      given.withdraw();
    }
  }
}
