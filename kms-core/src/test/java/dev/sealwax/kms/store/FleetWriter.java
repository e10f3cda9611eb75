package dev.sealwax.kms.store;

import static dev.sealwax.kms.store.FleetChild.HASTY;
import static dev.sealwax.kms.store.FleetChild.STEADY;

import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.Keysets;
import dev.sealwax.kms.store.KeysetModel.Verb;
import dev.sealwax.kms.vocabulary.KeyStateException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;

/**
 * One of the writers of a fleet: changes keysets by the operator's verbs, writes down what it has
 * called and what came of it, and now and then rotates the keysets that are under load.
 */
final class FleetWriter implements Runnable {
  // Twice the refresh interval, and more than that of the operation that waits for a refresh.
  private static final long PROPAGATION_MILLIS = 1200;
  private static final long BEFORE_ROLLBACK_MILLIS = 300;
  private static final int BURSTS_PER_ROTATION = 8;

  /** Each as often as it shall be tried: what makes versions usable more than what ends them. */
  private static final List<Verb> MIX =
      List.of(
          Verb.ROTATE,
          Verb.ROTATE,
          Verb.PUBLISH,
          Verb.PUBLISH,
          Verb.PROMOTE,
          Verb.PROMOTE,
          Verb.PROMOTE,
          Verb.ROLLBACK,
          Verb.ROLLBACK,
          Verb.DISABLE,
          Verb.DISABLE,
          Verb.DISABLE,
          Verb.ENABLE,
          Verb.ENABLE,
          Verb.ENABLE,
          Verb.COMPROMISE,
          Verb.SCHEDULE,
          Verb.SCHEDULE,
          Verb.CANCEL,
          Verb.DESTROY,
          Verb.DESTROY);

  private final int number;
  private final FleetSize size;
  private final Keysets keysets;
  private final WriteRecorder store;
  private final PrintWriter log;
  private final long start;
  private final SplittableRandom random = new SplittableRandom();

  /**
   * @param number among all writers of the fleet, from 0
   * @param start when all begin, by {@link System#nanoTime}
   */
  FleetWriter(
      int number,
      FleetSize size,
      Keysets keysets,
      WriteRecorder store,
      PrintWriter log,
      long start) {
    this.number = number;
    this.size = size;
    this.keysets = keysets;
    this.store = store;
    this.log = log;
    this.start = start;
  }

  @Override
  public void run() {
    int changed = 0;
    for (int burst = 0; changed < size.changes(); burst++) {
      sleepUntil(start + burst * size.burstNanos());
      for (int i = 0; i < FleetSize.BURST && changed < size.changes(); ) {
        if (changeAnything(chooseKeyset(burst))) {
          i++;
          changed++;
        }
      }
      if (burst % BURSTS_PER_ROTATION == number % BURSTS_PER_ROTATION) {
        rotateUnderLoad(burst / BURSTS_PER_ROTATION % 3 == 2);
      }
    }
    log.close();
  }

  /** Mostly the one that all others change at this moment. */
  private String chooseKeyset(int burst) {
    int chosen = random.nextInt(4) == 0 ? random.nextInt(size.keysets()) : burst % size.keysets();
    return FleetChild.keyset(chosen);
  }

  /** Whether the keyset was changed; another writer may have been faster. */
  private boolean changeAnything(String keyset) {
    KeysetModel seen = KeysetModel.of(call(keyset, Verb.GET, 0).orElseThrow());
    Verb verb = MIX.get(random.nextInt(MIX.size()));
    List<Integer> fit = new ArrayList<>();
    for (int version = 1; version <= seen.states().length(); version++) {
      if (seen.after(verb, version).isPresent()) {
        fit.add(version);
      }
    }
    // Now and then one that does not fit, to be refused.
    int version =
        fit.isEmpty() || random.nextInt(20) == 0
            ? 1 + random.nextInt(seen.states().length())
            : fit.get(random.nextInt(fit.size()));
    return call(keyset, verb, version).isPresent();
  }

  /** One keyset with time for all to learn of the new version, the other without. */
  private void rotateUnderLoad(boolean thenBack) {
    int newest = call(STEADY, Verb.PUBLISH, 0).orElseThrow().versions().size();
    sleepUntil(System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(PROPAGATION_MILLIS));
    call(STEADY, Verb.PROMOTE, newest);
    call(HASTY, Verb.ROTATE, 0);
    if (thenBack) {
      sleepUntil(System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(BEFORE_ROLLBACK_MILLIS));
      call(STEADY, Verb.ROLLBACK, 0);
      call(HASTY, Verb.ROLLBACK, 0);
    }
  }

  /** Calls a verb and writes that down; nothing if the keyset's state does not allow it. */
  private Optional<Keyset> call(String keyset, Verb verb, int version) {
    long started = System.nanoTime();
    try {
      Keyset after = apply(keyset, verb, version);
      long ended = System.nanoTime();
      Optional<StoredKeyset> written = store.takeWritten();
      if (written.isPresent() == (verb == Verb.GET)) {
        throw new IllegalStateException(verb + " of " + keyset + " has written " + written);
      }
      long revision = written.map(StoredKeyset::revision).orElse(after.revision());
      if (after.revision() < revision) {
        throw new IllegalStateException(verb + " wrote " + revision + " and returned " + after);
      }
      KeysetModel states =
          written
              .map(document -> KeysetModel.ofDocument(document.document()))
              .orElseGet(() -> KeysetModel.of(after));
      write(keyset, verb, version, started, ended, revision, states.toString());
      return Optional.of(after);
    } catch (KeyStateException e) {
      long ended = System.nanoTime();
      write(keyset, verb, version, started, ended, 0, OperatorCall.REFUSED);
      return Optional.empty();
    }
  }

  private void write(
      String keyset,
      Verb verb,
      int version,
      long started,
      long ended,
      long revision,
      String states) {
    log.println(new OperatorCall(keyset, verb, version, started, ended, revision, states));
  }

  private Keyset apply(String keyset, Verb verb, int version) {
    return switch (verb) {
      case GET -> keysets.get(keyset);
      case ROTATE -> keysets.rotate(keyset);
      case PUBLISH -> keysets.publish(keyset);
      case PROMOTE -> keysets.promote(keyset, version);
      case ROLLBACK -> keysets.rollback(keyset);
      case DISABLE -> keysets.disable(keyset, version);
      case ENABLE -> keysets.enable(keyset, version);
      case COMPROMISE -> keysets.compromise(keyset, version);
      case SCHEDULE -> keysets.scheduleDestruction(keyset, version);
      case CANCEL -> keysets.cancelDestruction(keyset, version);
      case DESTROY -> keysets.destroy(keyset, version);
    };
  }

  private static void sleepUntil(long nanoTime) {
    long left = nanoTime - System.nanoTime();
    if (left > 0) {
      try {
        TimeUnit.NANOSECONDS.sleep(left);
      } catch (InterruptedException e) {
        throw new IllegalStateException("stopped", e);
      }
    }
  }
}
