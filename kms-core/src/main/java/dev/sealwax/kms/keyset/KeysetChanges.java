package dev.sealwax.kms.keyset;

import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.keyset.KeysetWriter.Proposal;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent.Change;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;

/**
 * Carries a change of a keyset out: reads it, has it changed, writes it, announces that. What verbs
 * and schedules have in common. Safe for any thread.
 */
final class KeysetChanges {
  private final OpenKeysets keysets;
  private final KeysetWriter writer;
  private final RootCalls rootCalls;
  private final Announcer announcer;
  private final Clock wallClock;
  private final SecureRandom random;

  KeysetChanges(
      OpenKeysets keysets,
      KeysetWriter writer,
      RootCalls rootCalls,
      Announcer announcer,
      Clock wallClock,
      SecureRandom random) {
    this.keysets = keysets;
    this.writer = writer;
    this.rootCalls = rootCalls;
    this.announcer = announcer;
    this.wallClock = wallClock;
    this.random = random;
  }

  /** As {@link Keysets#get}. */
  Keyset read(String name) {
    return keysets.open(KeysetId.of(name)).readNow().keyset();
  }

  /** As {@link KeysetWriter#create}. */
  Keyset create(OpenKeyset open, Keyset first, DocumentKey documentKey, KeyEncryptionKey key) {
    return writer.create(open, first, documentKey, key);
  }

  /** Changes one version of a keyset. */
  Keyset to(String name, int version, Change change, String done, Function<Keyset, Keyset> step) {
    return write(
        name, version, change, "changed: version " + version + " " + done, proposing(step));
  }

  /** Changes the keyset as a whole. */
  Keyset toAll(String name, Change change, String done, Function<Keyset, Keyset> step) {
    return to(name, change, done, proposing(step));
  }

  private static Function<Snapshot, Proposal> proposing(Function<Keyset, Keyset> step) {
    return snapshot -> new Proposal(step.apply(snapshot.keyset()), documentKey(snapshot), null);
  }

  /** Changes a keyset by a step that brings keys along. */
  Keyset to(String name, Change change, String done, Function<Snapshot, Proposal> step) {
    return write(name, 0, change, done, step);
  }

  private Keyset write(
      String name, int version, Change change, String done, Function<Snapshot, Proposal> step) {
    KeysetId id = KeysetId.of(name);
    OpenKeyset open = keysets.open(id);
    AtomicBoolean changed = new AtomicBoolean();
    Function<Snapshot, Proposal> noting =
        snapshot -> {
          Proposal proposal = step.apply(snapshot);
          changed.set(proposal.next() != snapshot.keyset());
          return proposal;
        };
    return announcer.reporting(
        change, id, version, () -> writer.change(open, done, noting), changed::get);
  }

  /** Makes a version of a {@link Keyset} out of the date and the wrapped key. */
  interface Adding {
    Keyset apply(Keyset keyset, Instant now, WrappedKey wrapped);
  }

  /** Proposes the keyset with one more version, of a new key that the root key has wrapped. */
  Proposal withNewVersion(Snapshot snapshot, Adding adding) {
    Keyset keyset = snapshot.keyset();
    DocumentKey documentKey = documentKey(snapshot);
    int number = KeysetChange.nextNumber(keyset);
    try (VersionSecret secret = VersionSecret.generate(random, documentKey)) {
      WrappedKey wrapped = rootCalls.wrap(keyset.id(), number, secret, keyset.rootKeyRule());
      return new Proposal(
          adding.apply(keyset, now(), wrapped), documentKey, secret.keyEncryptionKey(number));
    }
  }

  static DocumentKey documentKey(Snapshot snapshot) {
    // Only the document of a destroyed keyset has none, and the writer refuses that before any
    // step.
    return Objects.requireNonNull(snapshot.documentKey(), "document key");
  }

  /** Documents carry whole seconds. */
  Instant now() {
    return wallClock.instant().truncatedTo(ChronoUnit.SECONDS);
  }
}
