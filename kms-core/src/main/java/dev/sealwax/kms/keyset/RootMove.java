package dev.sealwax.kms.keyset;

import dev.sealwax.kms.keyset.KeysetReader.Loaded;
import dev.sealwax.kms.keyset.KeysetWriter.Proposal;
import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The step that wraps all versions of a keyset, and a new document key, with a root key: another
 * one, or the same because root keys of a quorum were missing or the rule for them changes. Safe
 * for any thread.
 */
final class RootMove {
  private static final Logger LOG = LoggerFactory.getLogger(RootMove.class);
  private static final int NOT_THE_TARGETS = 2 * QuorumRootKey.MAX_MEMBERS;

  private final RootCalls from;
  private final RootCalls to;
  private final SecureRandom random;

  RootMove(RootCalls from, RootCalls to, SecureRandom random) {
    this.from = from;
    this.to = to;
    this.random = random;
  }

  /** Nothing to do if the target holds everything, or would hold no more of it than before. */
  Proposal propose(Snapshot snapshot) {
    Keyset keyset = snapshot.keyset();
    return keyset.versions().stream().allMatch(version -> debt(version) == 0)
        ? nothing(snapshot)
        : rewrapped(snapshot, keyset.policy(), true);
  }

  /** As {@link #propose}, for a keyset that the target holds though not wholly. */
  Proposal repair(Snapshot snapshot) {
    return needsRepair(snapshot.keyset(), to.currentKeyId())
        ? propose(snapshot)
        : nothing(snapshot);
  }

  /** Wraps everything anew under a rule for root keys. */
  Proposal withRule(Snapshot snapshot, RootKeyRule rule) {
    return rewrapped(snapshot, snapshot.keyset().policy().withRootKeyRule(rule), false);
  }

  /** Says so if this process would wrap the next version with what the keyset was moved from. */
  void warnIfOldOneGoesOn(KeysetId id) {
    if (!from.currentKeyId().equals(to.currentKeyId())) {
      LOG.warn(
          "keyset {} is held by {}, but this process wraps new versions by {}: open it with the"
              + " former, or with a RoutingRootKey that has it in front, before anybody rotates",
          id,
          to.currentKeyId(),
          from.currentKeyId());
    }
  }

  private static Proposal nothing(Snapshot snapshot) {
    return new Proposal(snapshot.keyset(), KeysetChanges.documentKey(snapshot), null);
  }

  /**
   * Whether a quorum holds all of a keyset, and some of its root keys are missing. What another
   * quorum holds is not for this one to mend: processes move to another one after the other.
   */
  static boolean needsRepair(Keyset keyset, RootKeyId target) {
    boolean missing = false;
    for (KeyVersion version : keyset.versions()) {
      if (!version.rootKeyId().map(target::equals).orElse(true)) {
        return false;
      }
      missing |= !version.missingRootKeyIds().isEmpty();
    }
    return missing;
  }

  private Proposal rewrapped(Snapshot snapshot, KeysetTemplate policy, boolean onlyIfBetter) {
    Keyset keyset = snapshot.keyset();
    DocumentKey before = KeysetChanges.documentKey(snapshot);
    // A new one, because whoever can use the old root key may know the old one.
    DocumentKey after = DocumentKey.random(random);
    boolean done = false;
    try {
      List<KeyVersion> versions = new ArrayList<>(keyset.versions());
      // Where something is missing first: if that is still so, nothing else need be asked.
      List<KeyVersion> worstFirst = new ArrayList<>(keyset.versions());
      worstFirst.sort(Comparator.comparingInt((KeyVersion version) -> -debt(version)));
      int gained = 0;
      for (KeyVersion version : worstFirst) {
        KeyVersion wrapped = rewrapped(keyset.id(), version, policy.rootKeyRule(), before, after);
        versions.set(version.number() - 1, wrapped);
        gained += debt(version) - debt(wrapped);
        if (onlyIfBetter && gained <= 0) {
          return nothing(snapshot);
        }
      }
      done = true;
      return new Proposal(keyset.rewrapped(policy, versions), after, null);
    } finally {
      if (!done) {
        after.close();
      }
    }
  }

  private KeyVersion rewrapped(
      KeysetId id, KeyVersion version, RootKeyRule rule, DocumentKey before, DocumentKey after) {
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
        return version.withWrapped(to.wrap(id, version.number(), moved, rule));
      }
    }
  }

  private boolean isTargets(KeyVersion version) {
    return version.rootKeyId().map(to.currentKeyId()::equals).orElse(true);
  }

  /** What the target lacks of a version: more than a quorum can, if it is not the target's. */
  private int debt(KeyVersion version) {
    return isTargets(version) ? version.missingRootKeyIds().size() : NOT_THE_TARGETS;
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
    if (!loaded.keyset().versions().stream().allMatch(this::isTargets)) {
      throw notFound;
    }
    return loaded.keyset();
  }
}
