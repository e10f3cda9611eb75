package dev.sealwax.kms.keyset;

import dev.sealwax.kms.keyset.KeysetReader.Loaded;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.util.Objects;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes the next revision of a keyset: reads it afresh, lets a step decide, compares and sets, and
 * starts over when another writer was faster. Safe for any thread.
 */
final class KeysetWriter {
  private static final Logger LOG = LoggerFactory.getLogger(KeysetWriter.class);

  /** How often a step is tried against other writers before they win. */
  static final int MAX_ATTEMPTS = 50;

  private static final int MAX_PAUSE_MILLIS = 50;

  /**
   * What a step wants to be written; takes over the keys that the snapshot does not own.
   *
   * @param next the next revision, or the snapshot's own keyset for "nothing to do"
   * @param documentKey what authenticates it: the snapshot's key or a new one
   * @param key a version already unwrapped on the way, worth keeping
   */
  record Proposal(Keyset next, DocumentKey documentKey, @Nullable KeyEncryptionKey key) {
    void discard(Snapshot before) {
      if (documentKey != before.documentKey()) {
        documentKey.close();
      }
      if (key != null) {
        key.close();
      }
    }
  }

  private final KeysetStore store;

  KeysetWriter(KeysetStore store) {
    this.store = store;
  }

  /**
   * Stores the first revision, then makes this process see it.
   *
   * @throws KeysetConflictException if the name is taken
   */
  Keyset create(OpenKeyset open, Keyset first, DocumentKey documentKey, KeyEncryptionKey key) {
    return open.writing(() -> createNow(open, first, documentKey, key));
  }

  private Keyset createNow(
      OpenKeyset open, Keyset first, DocumentKey documentKey, KeyEncryptionKey key) {
    long started = open.nanoTime();
    String document = documentKey.seal(KeysetJson.body(first));
    DocumentRoom.of(store, 0, first, document).require();
    StoredKeyset stored = new StoredKeyset(first.id(), first.revision(), document);
    try {
      store.create(stored);
    } catch (KeysetStoreException e) {
      if (!e.reason().isRetryable() || !isStored(stored, e)) {
        throw e;
      }
    }
    return published(open, "created", loaded(first, documentKey, key, document), started);
  }

  /** Whether a creation of unknown outcome took effect; "no" if the store still does not answer. */
  private boolean isStored(StoredKeyset stored, KeysetStoreException unknown) {
    StoredKeyset found;
    try {
      found = store.load(stored.id()).orElse(null);
    } catch (KeysetStoreException e) {
      unknown.addSuppressed(e);
      return false;
    }
    if (found != null && !found.equals(stored)) {
      throw new KeysetConflictException(
          stored.id(), "the name is taken; get it, or choose another");
    }
    return found != null;
  }

  /**
   * Changes a stored keyset, then makes this process see it.
   *
   * @param done what the step does, for the log
   * @param step decides on every attempt anew; what it throws ends the change
   * @throws KeysetConflictException if other writers were faster {@value #MAX_ATTEMPTS} times in a
   *     row
   */
  Keyset change(OpenKeyset open, String done, Function<Snapshot, Proposal> step) {
    return open.writing(() -> changeNow(open, done, step));
  }

  /** As {@link #change}, for what happens by itself all the time and is not worth a log entry. */
  Keyset record(OpenKeyset open, Function<Snapshot, Proposal> step) {
    return open.writing(() -> changeNow(open, null, step));
  }

  private Keyset changeNow(
      OpenKeyset open, @Nullable String done, Function<Snapshot, Proposal> step) {
    for (int attempt = 1; ; attempt++) {
      long started = open.nanoTime();
      Snapshot before = open.readNow();
      KeysetChange.requireLive(before.keyset());
      Proposal proposal = step.apply(before);
      if (proposal.next() == before.keyset()) {
        return proposal.next();
      }
      boolean written = false;
      try {
        String document = proposal.documentKey().seal(KeysetJson.body(proposal.next()));
        DocumentRoom room =
            DocumentRoom.of(store, before.keyset().versions().size(), proposal.next(), document);
        room.require();
        Keyset stored = write(open, before.keyset(), proposal.next(), document);
        room.warnIfNearlyFull();
        if (stored == proposal.next()) {
          written = true;
          return published(
              open,
              done,
              loaded(stored, proposal.documentKey(), proposal.key(), document),
              started);
        }
        if (done != null) {
          log(stored, done);
        }
        return stored;
      } catch (KeysetConflictException e) {
        if (attempt == MAX_ATTEMPTS) {
          throw e;
        }
        pause(attempt, e);
      } finally {
        if (!written) {
          proposal.discard(before);
        }
      }
    }
  }

  /**
   * Stores {@code next}; returns it, or the later keyset in the store if that includes the change
   * already.
   */
  private Keyset write(OpenKeyset open, Keyset before, Keyset next, String document) {
    try {
      store.replace(new StoredKeyset(next.id(), next.revision(), document));
      return next;
    } catch (KeysetStoreException e) {
      if (!e.reason().isRetryable()) {
        throw e;
      }
      return settle(open, before, next, e);
    }
  }

  /**
   * Finds out whether a write of unknown outcome took effect, so that it is neither lost nor done
   * twice.
   */
  private static Keyset settle(
      OpenKeyset open, Keyset before, Keyset next, KeysetStoreException unknown) {
    Keyset now;
    try {
      now = open.readNow().keyset();
    } catch (RuntimeException e) {
      unknown.addSuppressed(e);
      throw unknown;
    }
    if (now.revision() >= next.revision() && includes(now, before, next)) {
      return now;
    }
    if (now.revision() == next.revision()) {
      throw new KeysetConflictException(
          next.id(), "another writer was faster, revision " + now.revision() + " is its");
    }
    throw unknown;
  }

  /** Whether all that differs between {@code before} and {@code next} is found in {@code now}. */
  private static boolean includes(Keyset now, Keyset before, Keyset next) {
    for (KeyVersion version : next.versions()) {
      KeyVersion old = before.find(version.number());
      KeyVersion found = now.find(version.number());
      // Apart, because the counts of a version change under every other writer's hands.
      if (!version.equalsButForUse(old) && !version.equalsButForUse(found)) {
        return false;
      }
      if (!version.hasUseOf(old) && !version.hasUseOf(found)) {
        return false;
      }
    }
    return isOneOf(next.policy(), before.policy(), now.policy())
        && isOneOf(next.expiresAt(), before.expiresAt(), now.expiresAt())
        && isOneOf(next.hold(), before.hold(), now.hold())
        && isOneOf(next.primary(), before.primary(), now.primary());
  }

  private static boolean isOneOf(Object value, Object before, Object now) {
    return value.equals(before) || value.equals(now);
  }

  private static Keyset published(
      OpenKeyset open, @Nullable String done, Loaded loaded, long started) {
    Keyset keyset = open.publish(loaded, started).keyset();
    if (done != null) {
      log(loaded.keyset(), done);
    }
    return keyset;
  }

  private static void log(Keyset changed, String done) {
    warnIfMissing(changed);
    warnIfNothingEncrypts(changed);
    LOG.info(
        "keyset {} was {}; revision {}, primary {}",
        changed.id(),
        done,
        changed.revision(),
        changed.primary());
  }

  private static void warnIfMissing(Keyset keyset) {
    for (KeyVersion version : keyset.versions()) {
      if (!version.missingRootKeyIds().isEmpty()) {
        LOG.warn(
            "keyset {}: version {} is not held by {}, which did not wrap it; a keyset scheduler"
                + " asks again, as does repairWraps",
            keyset.id(),
            version.number(),
            version.missingRootKeyIds());
      }
    }
  }

  private static void warnIfNothingEncrypts(Keyset keyset) {
    KeyState state = keyset.versions().get(keyset.primary() - 1).state();
    if (state == KeyState.DISABLED || state == KeyState.COMPROMISED) {
      LOG.warn(
          "keyset {}: primary {} is {}, so nothing is encrypted until another version is primary{}",
          keyset.id(),
          keyset.primary(),
          state,
          state == KeyState.DISABLED ? " or this one enabled" : "");
    }
  }

  private static Loaded loaded(
      Keyset keyset, DocumentKey documentKey, @Nullable KeyEncryptionKey key, String document) {
    String mac = Objects.requireNonNull(documentKey.verify(document), "mac of own document");
    return new Loaded(keyset, mac, documentKey, key);
  }

  private static void pause(int attempt, KeysetConflictException conflict) {
    int bound = Math.min(MAX_PAUSE_MILLIS, 1 << Math.min(attempt, 6));
    try {
      Thread.sleep(ThreadLocalRandom.current().nextInt(bound) + 1L);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw conflict;
    }
  }
}
