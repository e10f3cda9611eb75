package dev.sealwax.kms.examples.remote;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.DataKeyPolicy;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.ResilientRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.CacheStatistics;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * One fault, from the last minute before it to its end: what works then, and what does not. Minutes
 * are those of {@link OutageGameDay}. For one thread.
 */
final class GameDayRun {
  /** Minutes for which a key version serves. */
  static final int SOFT = 10;

  static final int HARD = 30;
  static final int WINDOW_TO_ENCRYPT = 10;
  static final int WINDOW_TO_DECRYPT = 20;

  /** Caches keep time to within a tenth of a second, and machines have other things to do. */
  private static final int MARGIN = 2;

  private static final int COLD_KEYS = 20;
  private static final EncryptionContext ROW = EncryptionContext.of("row", "42");
  private static final byte[] MESSAGE = {4, 2};
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  /**
   * What came of something.
   *
   * @param text what to print
   * @param asPromised whether that is what the library promises
   * @param inTime whether it was tried within the minutes that it is about
   */
  record Cell(String row, String text, boolean asPromised, boolean inTime) {}

  /** A process, with or without windows for outages. */
  private record Opened(Kms kms, ResilientRootKey rootKey) {}

  private final Path directory;
  private final Fault fault;
  private final long minuteNanos;
  private final FaultSwitch service = new FaultSwitch();
  private final List<Cell> cells = new ArrayList<>();
  private byte[] warm = {};
  private final List<byte[]> cold = new ArrayList<>();
  // Between them the keys in memory were unwrapped.
  private long warmFrom;
  private long warmUntil;

  GameDayRun(Path directory, Fault fault, Duration minute) {
    this.directory = directory;
    this.fault = fault;
    this.minuteNanos = minute.toNanos();
  }

  /** Cells in the same order for each fault. */
  List<Cell> run() throws InterruptedException {
    LocalRootKey.create(directory.resolve("root.key"), RemoteExample.sealingKey()).close();
    prepare();
    CachePolicy plain = CachePolicy.of(minutes(SOFT), minutes(HARD), 1000);
    Opened bounded = open(plain);
    Opened patient =
        open(plain.withStaleOnOutage(minutes(WINDOW_TO_ENCRYPT), minutes(WINDOW_TO_DECRYPT)));
    try (bounded.kms;
        patient.kms) {
      warmFrom = System.nanoTime();
      for (Opened process : List.of(bounded, patient)) {
        decrypt(process, "warm", warm);
        decrypt(process, "rotated", warm(process, "rotated"));
      }
      warmUntil = System.nanoTime();
      service.set(fault);
      atOnce(patient);
      later(bounded, patient);
      service.set(Fault.NONE);
      afterReturn(patient);
      tellStatistics(patient.kms.statistics().keyVersions());
    }
    return cells;
  }

  private static byte[] warm(Opened process, String keyset) {
    return process.kms.envelopeCipher(keyset).encrypt(MESSAGE, ROW);
  }

  private void prepare() {
    try (Kms kms = open(CachePolicy.of(minutes(SOFT), minutes(HARD), 1000)).kms) {
      kms.keysets().create("warm", KeysetTemplate.defaults());
      kms.keysets().create("rotated", KeysetTemplate.defaults());
      warm = kms.envelopeCipher("warm").encrypt(MESSAGE, ROW);
      for (int i = 0; i <= COLD_KEYS; i++) {
        kms.keysets().create("cold-" + i, KeysetTemplate.defaults());
        cold.add(kms.envelopeCipher("cold-" + i).encrypt(MESSAGE, ROW));
      }
    }
  }

  private Opened open(CachePolicy keyVersions) {
    ResilientRootKey rootKey =
        ResilientRootKey.around(
            service.over(
                LocalRootKey.open(directory.resolve("root.key"), RemoteExample.sealingKey())));
    Kms kms =
        Kms.builder()
            .rootKey(rootKey)
            .store(FileKeysetStore.at(directory.resolve("keysets")))
            .keyVersions(keyVersions)
            // A data key for each message, so that nothing but the key version's age decides.
            .dataKeys(DataKeyPolicy.singleUse())
            .build();
    return new Opened(kms, rootKey);
  }

  // --- the day ---

  private void atOnce(Opened process) {
    boolean answers = fault == Fault.SLOW;
    both(process, "at once", 0, HARD, true, true);
    attempt("at once: decrypt, cold key", 0, HARD, answers, () -> decryptCold(process, 0));
    attempt("at once: create", 0, HARD, answers, () -> create(process, "new-1"));
    attempt("at once: rotate", 0, HARD, answers, () -> rotate(process));
    tellColdFailures(process);
    tell("circuit then", process.rootKey.health().circuit().toString());
  }

  private void later(Opened bounded, Opened patient) throws InterruptedException {
    boolean answers = fault == Fault.SLOW;
    boolean goesOn = answers || fault.isOutage();
    int encryptEnd = HARD + WINDOW_TO_ENCRYPT;
    int decryptEnd = HARD + WINDOW_TO_DECRYPT;
    awaitMinute(SOFT + MARGIN);
    if (!goesOn) {
      awaitRefusal(patient);
    }
    both(patient, "past the soft limit", SOFT, HARD, goesOn, goesOn);
    awaitMinute(HARD + MARGIN);
    both(bounded, "past the hard limit", HARD, Integer.MAX_VALUE, answers, answers);
    both(patient, "the same, with windows", HARD, encryptEnd, goesOn, goesOn);
    awaitMinute(encryptEnd + MARGIN);
    both(patient, "past the window to encrypt", encryptEnd, decryptEnd, answers, goesOn);
    awaitMinute(decryptEnd + MARGIN);
    both(patient, "past both windows", decryptEnd, Integer.MAX_VALUE, answers, answers);
  }

  /** What is used is renewed in the background, and refused once that has been. */
  private void awaitRefusal(Opened process) throws InterruptedException {
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (works(() -> encrypt(process)) && System.nanoTime() < end) {
      Thread.sleep(5);
    }
  }

  private void afterReturn(Opened process) throws InterruptedException {
    long start = System.nanoTime();
    long end = start + PATIENCE.toNanos();
    while (!works(() -> encrypt(process)) && System.nanoTime() < end) {
      Thread.sleep(5);
    }
    long took = System.nanoTime() - start;
    both(process, "after its return", 0, Integer.MAX_VALUE, true, true);
    int all = Integer.MAX_VALUE;
    attempt("after its return: decrypt, cold key", 0, all, true, () -> decryptCold(process, 0));
    attempt("after its return: create", 0, all, true, () -> create(process, "new-2"));
    attempt("after its return: rotate", 0, all, true, () -> rotate(process));
    tell("first success after return", millis(took));
  }

  // --- what is tried ---

  private void both(
      Opened process, String when, int from, int until, boolean encrypts, boolean decrypts) {
    attempt(when + ": encrypt", from, until, encrypts, () -> encrypt(process));
    attempt(when + ": decrypt", from, until, decrypts, () -> decrypt(process, "warm", warm));
  }

  private static boolean encrypt(Opened process) {
    return process.kms.envelopeCipher("warm").encrypt(MESSAGE, ROW).length > MESSAGE.length;
  }

  private static boolean decrypt(Opened process, String keyset, byte[] envelope) {
    EnvelopeCipher cipher = process.kms.envelopeCipher(keyset);
    return Arrays.equals(MESSAGE, cipher.decrypt(envelope, ROW));
  }

  private boolean decryptCold(Opened process, int number) {
    return decrypt(process, "cold-" + number, cold.get(number));
  }

  private static boolean create(Opened process, String keyset) {
    return process.kms.keysets().create(keyset, KeysetTemplate.defaults()).primary() == 1;
  }

  private static boolean rotate(Opened process) {
    int before = process.kms.keysets().get("rotated").primary();
    return process.kms.keysets().rotate("rotated").primary() == before + 1;
  }

  private static boolean works(BooleanSupplier operation) {
    try {
      return operation.getAsBoolean();
    } catch (RootKeyException e) {
      return false;
    }
  }

  /** Tries it, and compares with what is promised for these minutes. */
  private void attempt(
      String row, int from, int until, boolean promised, BooleanSupplier operation) {
    boolean inTime = warmUntil + from * minuteNanos <= System.nanoTime();
    boolean works = false;
    String text;
    try {
      works = operation.getAsBoolean();
      text = works ? "ok" : "WRONG ANSWER";
    } catch (RootKeyException e) {
      text = e.reason().toString();
    }
    inTime &= System.nanoTime() - warmFrom < (until - 1L) * minuteNanos;
    cells.add(new Cell(row, text, works == promised, inTime));
  }

  /** How soon keys that are not in memory fail, or are there; each of them is met once. */
  private void tellColdFailures(Opened process) {
    long[] nanos = new long[COLD_KEYS];
    for (int i = 0; i < COLD_KEYS; i++) {
      int number = i + 1;
      long start = System.nanoTime();
      boolean works = works(() -> decryptCold(process, number));
      nanos[i] = works ? 0 : System.nanoTime() - start;
      if (works) {
        break; // it answers, if slowly
      }
    }
    Arrays.sort(nanos);
    long median = nanos[COLD_KEYS / 2];
    tell("a cold key fails within, median", median == 0 ? "-" : millis(median));
  }

  private void tellStatistics(CacheStatistics cache) {
    tell("served past the soft limit", Long.toString(cache.staleServed()));
    tell("served past the hard limit", Long.toString(cache.outageServed()));
    tell("renewals that failed", Long.toString(cache.refreshFailures()));
    tell("calls of the root key", Long.toString(service.calls()));
  }

  private void tell(String row, String text) {
    cells.add(new Cell(row, text, true, true));
  }

  private static String millis(long nanos) {
    return String.format(Locale.ROOT, "%.1f ms", nanos / 1e6);
  }

  // --- time ---

  private Duration minutes(int minutes) {
    return Duration.ofNanos(minutes * minuteNanos);
  }

  private void awaitMinute(int minute) throws InterruptedException {
    long nanos = warmUntil + minute * minuteNanos - System.nanoTime();
    if (nanos > 0) {
      TimeUnit.NANOSECONDS.sleep(nanos);
    }
  }
}
