package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What one data key encrypts: never one message, byte or moment more than its policy says. */
class BudgetTest {
  private static final int THREADS = 16;
  private static final EncryptionContext CONTEXT = EncryptionContext.empty();
  private static final Duration SOFT = Duration.ofMinutes(1);
  private static final Duration HARD = Duration.ofMinutes(2);

  private static String dataKey(byte[] envelope) {
    return EnvelopeInfo.inspect(envelope).dataKeyId();
  }

  private static int plaintextLength(byte[] envelope) {
    return envelope.length - EnvelopeInfo.inspect(envelope).headerLengthBytes() - 28;
  }

  /** Data key to the number of its messages, in the order of first use. */
  private static Map<String, Integer> messagesPerKey(List<byte[]> envelopes) {
    Map<String, Integer> counts = new LinkedHashMap<>();
    envelopes.forEach(e -> counts.merge(dataKey(e), 1, Integer::sum));
    return counts;
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 7, 1000})
  void messages_manyThreads_neverOneTooMany(long budget) throws Exception {
    int each = budget == 1000 ? 2500 : 400;
    try (EnvelopeRig rig = EnvelopeRig.create(DataKeyPolicy.defaults().withMaxMessages(budget))) {
      List<byte[]> envelopes = new ArrayList<>();
      Crowd.of(
              THREADS,
              i -> {
                List<byte[]> mine = new ArrayList<>();
                for (int k = 0; k < each; k++) {
                  mine.add(rig.cipher().encrypt(new byte[16], CONTEXT));
                }
                return mine;
              })
          .forEach(envelopes::addAll);
      assertEquals(THREADS * each, envelopes.size());
      messagesPerKey(envelopes)
          .forEach((key, count) -> assertTrue(count <= budget, () -> key + ": " + count));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 1000})
  void messages_oneThread_exactlyTheBudget(int budget) {
    try (EnvelopeRig rig = EnvelopeRig.create(DataKeyPolicy.defaults().withMaxMessages(budget))) {
      List<byte[]> envelopes = new ArrayList<>();
      for (int i = 0; i < 3 * budget; i++) {
        envelopes.add(rig.cipher().encrypt(new byte[16], CONTEXT));
      }
      assertEquals(
          List.of(budget, budget, budget), List.copyOf(messagesPerKey(envelopes).values()));
    }
  }

  @Test
  void bytes_manyThreads_neverOneTooMany() throws Exception {
    long budget = 1000;
    try (EnvelopeRig rig = EnvelopeRig.create(DataKeyPolicy.defaults().withMaxBytes(budget))) {
      Map<String, Long> bytes = new LinkedHashMap<>();
      Crowd.of(
              THREADS,
              i -> {
                SplittableRandom lengths = new SplittableRandom(i);
                List<byte[]> mine = new ArrayList<>();
                for (int k = 0; k < 500; k++) {
                  mine.add(rig.cipher().encrypt(new byte[lengths.nextInt(0, 300)], CONTEXT));
                }
                return mine;
              })
          .forEach(
              mine ->
                  mine.forEach(e -> bytes.merge(dataKey(e), (long) plaintextLength(e), Long::sum)));
      bytes.forEach((key, sum) -> assertTrue(sum <= budget, () -> key + ": " + sum));
    }
  }

  @Test
  void bytes_oneThread_exactlyTheBudget() {
    try (EnvelopeRig rig = EnvelopeRig.create(DataKeyPolicy.defaults().withMaxBytes(100))) {
      List<byte[]> envelopes = new ArrayList<>();
      for (int length : new int[] {60, 40, 0, 60, 41, 59, 1}) {
        envelopes.add(rig.cipher().encrypt(new byte[length], CONTEXT));
      }
      // 60+40+0 fill the first key, 60 and 41 do not fit together, 41+59 fill the third.
      assertEquals(List.of(3, 1, 2, 1), List.copyOf(messagesPerKey(envelopes).values()));
    }
  }

  @Test
  void bytes_chunkedArrays_countToo() {
    int length = 40_000;
    try (EnvelopeRig rig = EnvelopeRig.create(DataKeyPolicy.defaults().withMaxBytes(2L * length))) {
      List<byte[]> envelopes = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        envelopes.add(rig.cipher().encrypt(new byte[length], CONTEXT));
      }
      assertEquals(List.of(2, 2, 1), List.copyOf(messagesPerKey(envelopes).values()));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {101, 40_000})
  void message_longerThanTheByteBudget_getsItsOwnKey(int length) {
    try (EnvelopeRig rig = EnvelopeRig.create(DataKeyPolicy.defaults().withMaxBytes(100))) {
      byte[] before = rig.cipher().encrypt(new byte[10], CONTEXT);
      byte[] first = rig.cipher().encrypt(new byte[length], CONTEXT);
      byte[] second = rig.cipher().encrypt(new byte[length], CONTEXT);
      byte[] after = rig.cipher().encrypt(new byte[10], CONTEXT);

      assertEquals(dataKey(before), dataKey(after));
      assertEquals(3, messagesPerKey(List.of(before, first, second)).size());
      assertArrayEquals(new byte[length], rig.cipher().decrypt(second, CONTEXT));
    }
  }

  @Test
  void streams_countAsOneMessage_andNoBytes() throws IOException {
    try (EnvelopeRig rig =
        EnvelopeRig.create(DataKeyPolicy.defaults().withMaxMessages(2).withMaxBytes(100))) {
      List<byte[]> envelopes = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        rig.cipher().encrypt(new ByteArrayInputStream(new byte[50_000]), out, CONTEXT);
        envelopes.add(out.toByteArray());
      }
      assertEquals(List.of(2, 2, 1), List.copyOf(messagesPerKey(envelopes).values()));
    }
  }

  @Test
  void suites_haveKeysOfTheirOwn() {
    try (EnvelopeRig rig = EnvelopeRig.create()) {
      byte[] small = rig.cipher().encrypt(new byte[10], CONTEXT);
      byte[] large = rig.cipher().encrypt(new byte[40_000], CONTEXT);
      assertNotEquals(dataKey(small), dataKey(large));
    }
  }

  // --- age ---

  private final Queue<Runnable> background = new ArrayDeque<>();

  private EnvelopeRig aging(CachePolicy keyVersions) {
    return EnvelopeRig.create(
        DataKeyPolicy.defaults().withEncryptCache(CachePolicy.of(SOFT, HARD, 100)),
        keyVersions,
        background::add,
        null);
  }

  private void runBackground() {
    while (!background.isEmpty()) {
      background.remove().run();
    }
  }

  private static String nextKey(EnvelopeRig rig) {
    return dataKey(rig.cipher().encrypt(new byte[16], CONTEXT));
  }

  @Test
  void age_upToTheHardLimit_sameKeyAndThenAnother() {
    try (EnvelopeRig rig = aging(EnvelopeRig.LONG)) {
      String first = nextKey(rig);
      rig.pass(HARD.minusMillis(1));
      assertEquals(first, nextKey(rig));
      rig.pass(Duration.ofMillis(1));
      assertNotEquals(first, nextKey(rig));
    }
  }

  @Test
  void age_pastTheSoftLimit_renewedInTheBackgroundWhileTheOldOneServes() {
    try (EnvelopeRig rig = aging(EnvelopeRig.LONG)) {
      String first = nextKey(rig);
      rig.pass(SOFT);
      assertEquals(first, nextKey(rig));
      assertEquals(first, nextKey(rig));
      assertEquals(1, background.size());
      runBackground();
      String second = nextKey(rig);
      assertNotEquals(first, second);
      rig.pass(HARD.minus(SOFT));
      assertEquals(second, nextKey(rig));
    }
  }

  @Test
  void age_renewalFails_hurtsNobodyBeforeTheHardLimit() {
    // Without a cache of key versions every renewal needs the root key.
    try (EnvelopeRig rig = aging(CachePolicy.none())) {
      String first = nextKey(rig);
      rig.root.always(Fault.failing(Reason.UNAVAILABLE));
      for (Duration age = SOFT; age.compareTo(HARD) < 0; age = age.plusSeconds(10)) {
        rig.pass(age.equals(SOFT) ? SOFT : Duration.ofSeconds(10));
        assertEquals(first, nextKey(rig));
        runBackground();
      }
      assertTrue(rig.ciphers.statistics().encryptKeys().refreshFailures() >= 3);
      rig.pass(Duration.ofSeconds(10));
      RootKeyException failure = assertThrows(RootKeyException.class, () -> nextKey(rig));
      assertEquals(Reason.UNAVAILABLE, failure.reason());
      rig.root.always(Fault.NONE);
      rig.pass(Duration.ofMillis(100));
      assertNotEquals(first, nextKey(rig));
    }
  }

  @Test
  void age_ofTheKeyThatDecrypts_isItsOwn() {
    try (EnvelopeRig rig = aging(EnvelopeRig.LONG)) {
      byte[] envelope = rig.cipher().encrypt(new byte[16], CONTEXT);
      rig.pass(HARD);
      nextKey(rig);
      long loads = rig.ciphers.statistics().decryptKeys().loads();
      assertArrayEquals(new byte[16], rig.cipher().decrypt(envelope, CONTEXT));
      assertEquals(loads, rig.ciphers.statistics().decryptKeys().loads());
    }
  }
}
