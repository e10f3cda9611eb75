package dev.sealwax.kms.keyset;

import dev.sealwax.kms.keyset.KeysetReader.Loaded;
import dev.sealwax.kms.keyset.KeysetWriter.Proposal;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * The step that wraps all versions of a keyset, and a new document key, with another root key. Safe
 * for any thread.
 */
final class RootMove {
  private final RootCalls from;
  private final RootCalls to;
  private final RootKey target;
  private final SecureRandom random;

  RootMove(RootCalls from, RootKey target, SecureRandom random) {
    this.from = from;
    this.to = from.over(target);
    this.target = target;
    this.random = random;
  }

  Proposal propose(Snapshot snapshot) {
    Keyset keyset = snapshot.keyset();
    DocumentKey before = Objects.requireNonNull(snapshot.documentKey(), "document key");
    if (isMoved(keyset)) {
      return new Proposal(keyset, before, null);
    }
    // A new one, because whoever can use the old root key may know the old one.
    DocumentKey after = DocumentKey.random(random);
    boolean done = false;
    try {
      List<KeyVersion> versions = new ArrayList<>();
      for (KeyVersion version : keyset.versions()) {
        versions.add(rewrapped(keyset.id(), version, before, after));
      }
      done = true;
      return new Proposal(keyset.next(keyset.primary(), versions), after, null);
    } finally {
      if (!done) {
        after.close();
      }
    }
  }

  private KeyVersion rewrapped(
      KeysetId id, KeyVersion version, DocumentKey before, DocumentKey after) {
    WrappedKey wrapped = version.wrapped();
    if (wrapped == null) {
      return version;
    }
    try (VersionSecret secret = from.unwrap(id, version.number(), wrapped)) {
      if (!secret.belongsWith(before)) {
        throw new KeysetCorruptedException(
            id, "version " + version.number() + " was wrapped with another document key", null);
      }
      try (VersionSecret moved = secret.with(after)) {
        return version.withWrapped(to.wrap(id, version.number(), moved));
      }
    }
  }

  /** Whether the target's current key holds everything; a keyset without material is nobody's. */
  private boolean isMoved(Keyset keyset) {
    RootKeyId id = target.currentKeyId();
    return keyset.versions().stream()
        .allMatch(version -> version.rootKeyId().map(id::equals).orElse(true));
  }

  /**
   * The keyset, if a move to the target has already happened, so that the old root key does not
   * find it any more.
   *
   * @throws RootKeyException {@code notFound} if it has not
   */
  Keyset findMoved(KeysetId id, KeysetReader reader, RootKeyException notFound) {
    Loaded loaded;
    try {
      loaded = reader.read(id, 0, null);
    } catch (RootKeyException e) {
      notFound.addSuppressed(e);
      throw notFound;
    }
    if (loaded.key() != null) {
      loaded.key().close();
    }
    if (loaded.documentKey() != null) {
      loaded.documentKey().close();
    }
    if (!isMoved(loaded.keyset())) {
      throw notFound;
    }
    return loaded.keyset();
  }
}
