package dev.sealwax.kms.keyset;

import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Reads keysets from the store and lets none pass that is not authentic and at least as new as the
 * one known before (keyset-v1 §5). Safe for any thread.
 */
final class KeysetReader {
  /**
   * What a read yields.
   *
   * @param documentKey the key that authenticated it: the one of the snapshot known before, or a
   *     new one that the caller takes over; null for a destroyed keyset that nobody can
   *     authenticate
   * @param key a version unwrapped on the way, which the caller takes over
   */
  record Loaded(
      Keyset keyset,
      String mac,
      @Nullable DocumentKey documentKey,
      @Nullable KeyEncryptionKey key) {}

  private final KeysetStore store;
  private final RootCalls rootCalls;
  private final Announcer announcer;

  KeysetReader(KeysetStore store, RootCalls rootCalls, Announcer announcer) {
    this.store = store;
    this.rootCalls = rootCalls;
    this.announcer = announcer;
  }

  /**
   * Reads and authenticates one keyset.
   *
   * @param wanted the version to unwrap if one must be unwrapped anyhow, or 0 for the primary
   * @param known what this process has authenticated before, taken before this call
   * @throws KeysetStoreException if there is none, or the store fails
   * @throws KeysetCorruptedException if it is not authentic, or older than {@code known}
   * @throws RootKeyException if the root key is needed and fails
   */
  Loaded read(KeysetId id, int wanted, @Nullable Snapshot known) {
    return announcer.reporting(
        Operation.KEYSET_LOAD,
        id,
        0,
        () -> {
          StoredKeyset stored = load(id, known);
          Loaded loaded = known == null ? null : authenticateByKnown(stored, known);
          return loaded != null ? loaded : authenticateByRootKey(stored, wanted, known);
        });
  }

  /**
   * As {@link #read}, but without the root key: null if it is needed to tell whether the document
   * is authentic.
   */
  @Nullable Loaded readFromStore(KeysetId id, Snapshot known) {
    return announcer.reporting(
        Operation.KEYSET_LOAD, id, 0, () -> authenticateByKnown(load(id, known), known));
  }

  private StoredKeyset load(KeysetId id, @Nullable Snapshot known) {
    return store
        .load(id)
        .orElseThrow(
            () ->
                new KeysetStoreException(
                    KeysetStoreException.Reason.NOT_FOUND,
                    known == null
                        ? "no keyset named "
                            + id
                            + "; check name and store, restore it if it was there before, else"
                            + " create it"
                        : "keyset "
                            + id
                            + " is gone from the store; restore it from a backup: one created anew"
                            + " opens nothing of it",
                    null));
  }

  /** Null if there is no document key yet, or it does not fit. */
  private static @Nullable Loaded authenticateByKnown(StoredKeyset stored, Snapshot known) {
    if (known.documentKey() == null) {
      return null;
    }
    String mac = known.documentKey().verify(stored.document());
    if (mac == null) {
      return null;
    }
    // The usual case, once per refresh: nothing has changed, so nothing is parsed.
    boolean unchanged = stored.revision() == known.keyset().revision() && mac.equals(known.mac());
    Keyset keyset = unchanged ? known.keyset() : KeysetJson.read(stored);
    requireFollows(keyset, known, true);
    return new Loaded(keyset, mac, known.documentKey(), null);
  }

  private Loaded authenticateByRootKey(StoredKeyset stored, int wanted, @Nullable Snapshot known) {
    KeysetId id = stored.id();
    Keyset claimed = KeysetJson.read(stored);
    KeyVersion chosen = choose(claimed, wanted);
    WrappedKey wrapped = chosen == null ? null : chosen.wrapped();
    if (chosen == null || wrapped == null) {
      if (known != null && known.isAuthenticated()) {
        throw notAuthentic(id);
      }
      // Nothing is left that could authenticate it, and nothing that it could make usable.
      return new Loaded(claimed, "", null, null);
    }
    if (known != null && known.isAuthenticated() && isKnown(chosen, wrapped, known)) {
      // The same wrapping holds the same document key, which has just rejected the document.
      throw notAuthentic(id);
    }
    try (VersionSecret secret = rootCalls.unwrap(id, chosen.number(), wrapped)) {
      DocumentKey documentKey = secret.documentKey();
      try {
        String mac = documentKey.verify(stored.document());
        if (mac == null) {
          throw notAuthentic(id);
        }
        requireNotOlder(claimed, known);
        KeyEncryptionKey key =
            chosen.state().allowsAny() ? secret.keyEncryptionKey(chosen.number()) : null;
        return new Loaded(claimed, mac, documentKey, key);
      } catch (RuntimeException e) {
        documentKey.close();
        throw e;
      }
    }
  }

  /**
   * The wanted version if it looks usable, else the primary, else any; null if there is no material
   * at all.
   */
  private static @Nullable KeyVersion choose(Keyset claimed, int wanted) {
    KeyVersion best = null;
    for (KeyVersion version : claimed.versions()) {
      if (version.wrapped() != null
          && (best == null || rank(version, claimed, wanted) > rank(best, claimed, wanted))) {
        best = version;
      }
    }
    return best;
  }

  private static int rank(KeyVersion version, Keyset claimed, int wanted) {
    int rank = version.state().allowsAny() ? 4 : 0;
    if (version.number() == wanted) {
      return rank + 2;
    }
    return version.number() == claimed.primary() ? rank + 1 : rank;
  }

  private static boolean isKnown(KeyVersion chosen, WrappedKey wrapped, Snapshot known) {
    KeyVersion before = known.keyset().find(chosen.number());
    return before != null && Objects.equals(wrapped, before.wrapped());
  }

  /**
   * Refuses a keyset that is no later revision of {@code known}, or the same.
   *
   * @param sameDocumentKey whether one document key authenticates both
   * @throws KeysetCorruptedException if it is older, or of another history
   */
  static void requireFollows(Keyset keyset, Snapshot known, boolean sameDocumentKey) {
    requireNotOlder(keyset, known);
    if (sameDocumentKey) {
      requireSameWrappings(keyset, known.keyset());
    }
  }

  private static void requireNotOlder(Keyset keyset, @Nullable Snapshot known) {
    if (known != null && known.isAuthenticated() && keyset.revision() < known.keyset().revision()) {
      throw new KeysetCorruptedException(
          keyset.id(),
          "revision "
              + keyset.revision()
              + " was stored over revision "
              + known.keyset().revision()
              + "; restore the newer one, or restart the process after a deliberate restore",
          null);
    }
    if (known != null && known.isAuthenticated() && !hasHistoryOf(keyset, known.keyset())) {
      throw otherHistory(keyset);
    }
  }

  /**
   * Whether {@code keyset} can be a later revision of {@code before}: dates of birth never change.
   */
  private static boolean hasHistoryOf(Keyset keyset, Keyset before) {
    if (!keyset.createdAt().equals(before.createdAt())
        || keyset.versions().size() < before.versions().size()) {
      return false;
    }
    for (KeyVersion old : before.versions()) {
      KeyVersion now = keyset.find(old.number());
      if (now == null || !now.createdAt().equals(old.createdAt())) {
        return false;
      }
    }
    return true;
  }

  /**
   * A wrapping changes only when all versions are wrapped anew, which changes the document key too.
   * Under the same one, a version that is wrapped otherwise is another key: the store was rolled
   * back and went on from there (KS-14).
   */
  private static void requireSameWrappings(Keyset keyset, Keyset before) {
    for (KeyVersion old : before.versions()) {
      KeyVersion now = keyset.find(old.number());
      if (now != null
          && now.wrapped() != null
          && old.wrapped() != null
          && !now.wrapped().equals(old.wrapped())) {
        throw otherHistory(keyset);
      }
    }
  }

  private static KeysetCorruptedException otherHistory(Keyset keyset) {
    return new KeysetCorruptedException(
        keyset.id(),
        "revision "
            + keyset.revision()
            + " does not follow from what this process knows; the store was rolled back and went"
            + " on, so restart the process once it is clear which history is right",
        null);
  }

  private static KeysetCorruptedException notAuthentic(KeysetId id) {
    return new KeysetCorruptedException(
        id, "its mac does not fit its content; restore it from a backup", null);
  }
}
