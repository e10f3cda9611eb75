package dev.sealwax.kms;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.envelope.DataKeyPolicy;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.envelope.EnvelopeOutputStream;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.ResilientRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.testkit.ForwardingKeysetStore;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.GuardHealth;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Processes whose root keys are guarded, over a service with a quota, and over one that fails. */
@Timeout(120)
final class ResilienceTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.of("row", "1");
  private static final byte[] MESSAGE = {1, 2, 3};

  private final LocalRootKey service = TestRootKeys.inMemory();
  private final InMemoryKeysetStore stored = InMemoryKeysetStore.create();

  @AfterEach
  void close() {
    service.close();
    stored.close();
  }

  /** A client of the service, as each process has one. */
  private FaultyRootKey client() {
    return clientOf(service);
  }

  private static FaultyRootKey clientOf(RootKey service) {
    return FaultyRootKey.around(
        new ForwardingRootKey(service) {
          @Override
          public void close() {}
        });
  }

  private KeysetStore store() {
    return new ForwardingKeysetStore(stored) {
      @Override
      public void close() {}
    };
  }

  private Map<String, byte[]> createAndSeal(int keysets) {
    return createAndSeal(keysets, client());
  }

  private Map<String, byte[]> createAndSeal(int keysets, RootKey rootKey) {
    Map<String, byte[]> sealed = new LinkedHashMap<>();
    try (Kms kms = Kms.builder().rootKey(rootKey).store(store()).build()) {
      for (int i = 0; i < keysets; i++) {
        String name = "tenant-" + i;
        kms.keysets().create(name, KeysetTemplate.defaults());
        sealed.put(name, kms.envelopeCipher(name).encrypt(MESSAGE, CONTEXT));
      }
    }
    return sealed;
  }

  @Test
  void processesThatStartColdTogether_stayWithinTheQuotaAndFailNoRequest() throws Exception {
    int processes = 16;
    int callsPerSecond = 9;
    Map<String, byte[]> sealed = createAndSeal(12);
    // One call more for each process than its rate, because threads do not run when they should.
    // All of them at once would be 192 in the first second.
    Fault quota = Fault.throttling(processes * (callsPerSecond + 1), Duration.ofSeconds(1));
    List<FaultyRootKey> clients = new ArrayList<>();
    List<ResilientRootKey> guards = new ArrayList<>();
    List<Kms> fleet = new ArrayList<>();
    for (int i = 0; i < processes; i++) {
      clients.add(client().always(quota));
      guards.add(
          ResilientRootKey.around(
              clients.get(i),
              GuardPolicy.defaults()
                  .withRate(callsPerSecond)
                  .withDeadline(Duration.ofSeconds(60))
                  .withAttempts(1, Duration.ofSeconds(60))));
      fleet.add(Kms.builder().rootKey(guards.get(i)).store(store()).build());
    }
    ExecutorService requests = Executors.newFixedThreadPool(processes * sealed.size());
    try {
      List<Callable<byte[]>> all =
          fleet.stream()
              .flatMap(
                  kms ->
                      sealed.entrySet().stream()
                          .map(
                              e ->
                                  (Callable<byte[]>)
                                      () ->
                                          kms.envelopeCipher(e.getKey())
                                              .decrypt(e.getValue(), CONTEXT)))
              .toList();
      for (Future<byte[]> opened : requests.invokeAll(all)) {
        assertArrayEquals(MESSAGE, opened.get());
      }
    } finally {
      requests.shutdown();
      fleet.forEach(Kms::close);
    }
    for (int i = 0; i < processes; i++) {
      assertEquals(0, guards.get(i).health().failures());
      assertEquals(0, guards.get(i).health().refusals());
      assertEquals(sealed.size(), clients.get(i).unwraps(), "one call for each key version");
    }
  }

  @Test
  void rootKeyThatIsDown_isLeftAlone_andWhatIsCachedServesOn() {
    Map<String, byte[]> sealed = createAndSeal(30);
    FaultyRootKey root = client();
    ResilientRootKey guard =
        ResilientRootKey.around(
            root,
            GuardPolicy.defaults()
                .withPauses(Duration.ofMillis(1), Duration.ofMillis(1))
                .withCircuit(10, Duration.ofSeconds(30)));
    try (Kms kms = Kms.builder().rootKey(guard).store(store()).build()) {
      assertArrayEquals(
          MESSAGE, kms.envelopeCipher("tenant-0").decrypt(sealed.get("tenant-0"), CONTEXT));
      root.always(Fault.failing(UNAVAILABLE));
      int next = 1;
      while (guard.health().circuit() != GuardHealth.Circuit.OPEN) {
        String name = "tenant-" + next++;
        assertFails(kms, name, sealed);
      }
      int calls = root.unwraps();
      List<Duration> took = new ArrayList<>();
      for (int i = next; i < 30; i++) {
        long start = System.nanoTime();
        assertFails(kms, "tenant-" + i, sealed);
        took.add(Duration.ofNanos(System.nanoTime() - start));
      }
      assertEquals(calls, root.unwraps());
      assertMostAreWithin(Duration.ofMillis(50), took);
      IntStream.range(0, 100)
          .forEach(
              i ->
                  assertArrayEquals(
                      MESSAGE,
                      kms.envelopeCipher("tenant-0").decrypt(sealed.get("tenant-0"), CONTEXT)));
    }
  }

  /** Most, because a machine that does much else may stop a thread at any time. */
  private static void assertMostAreWithin(Duration limit, List<Duration> took) {
    assertTrue(took.size() >= 5, took::toString);
    assertTrue(
        took.stream().sorted().toList().get(took.size() / 2).compareTo(limit) < 0, took::toString);
  }

  private enum Guarded {
    ALONE {
      @Override
      RootKey over(List<? extends RootKey> roots) {
        return roots.get(0);
      }
    },
    QUORUM_OF_TWO {
      @Override
      RootKey over(List<? extends RootKey> roots) {
        return QuorumRootKey.builder().member(roots.get(0)).member(roots.get(1)).build();
      }
    };

    abstract RootKey over(List<? extends RootKey> roots);
  }

  /** With the default open time of half a second. */
  @ParameterizedTest
  @EnumSource
  void rootKeyThatIsBack_servesAColdKeysetWithinASecond(Guarded guarded) {
    List<Duration> took = new ArrayList<>();
    try (LocalRootKey second = TestRootKeys.inMemory()) {
      Map<String, byte[]> sealed =
          createAndSeal(5, guarded.over(List.of(client(), clientOf(second))));
      List<FaultyRootKey> roots = List.of(client(), clientOf(second));
      List<ResilientRootKey> guards = roots.stream().map(ResilientRootKey::around).toList();
      List<ResilientRootKey> used = guards.subList(0, guarded == Guarded.ALONE ? 1 : 2);
      try (Kms kms = Kms.builder().rootKey(guarded.over(guards)).store(store()).build()) {
        for (String name : sealed.keySet()) {
          roots.forEach(root -> root.always(Fault.failing(UNAVAILABLE)));
          while (used.stream().anyMatch(ResilienceTest::isClosed)) {
            assertFails(kms, name, sealed);
          }
          // Healed at another moment of the open time for each.
          long end = System.nanoTime() + took.size() * 130_000_000L;
          while (System.nanoTime() < end) {
            assertFails(kms, name, sealed);
          }
          roots.forEach(root -> root.always(Fault.NONE));
          long healed = System.nanoTime();
          while (!opens(kms, name, sealed)) {
            LockSupport.parkNanos(1_000_000);
          }
          took.add(Duration.ofNanos(System.nanoTime() - healed));
        }
      }
      guards.forEach(ResilientRootKey::close);
    }
    assertMostAreWithin(Duration.ofSeconds(1), took);
  }

  private static boolean isClosed(ResilientRootKey guard) {
    return guard.health().circuit() == GuardHealth.Circuit.CLOSED;
  }

  private static boolean opens(Kms kms, String name, Map<String, byte[]> sealed) {
    try {
      assertArrayEquals(MESSAGE, kms.envelopeCipher(name).decrypt(sealed.get(name), CONTEXT));
      return true;
    } catch (RootKeyException e) {
      assertEquals(UNAVAILABLE, e.reason());
      return false;
    }
  }

  private enum Trouble {
    DOWN,
    THROTTLED,
    SLOW;

    Fault fault() {
      return switch (this) {
        case DOWN -> Fault.failing(UNAVAILABLE);
        case THROTTLED -> Fault.failing(RootKeyException.Reason.THROTTLED);
        case SLOW -> Fault.delaying(Duration.ofSeconds(2));
      };
    }
  }

  static Stream<Arguments> troublesAndDataKeys() {
    CachePolicy soon = CachePolicy.of(Duration.ofMillis(20), Duration.ofHours(1), 1000);
    return Stream.of(Trouble.values())
        .flatMap(
            trouble ->
                Stream.of(
                    Arguments.of(trouble, DataKeyPolicy.singleUse()),
                    Arguments.of(
                        trouble,
                        DataKeyPolicy.defaults().withEncryptCache(soon).withDecryptCache(soon))));
  }

  /** Every renewal is due all the time, and fails; the hard limit is far away. */
  @ParameterizedTest
  @MethodSource("troublesAndDataKeys")
  void cachedKeys_whileTheRootKeyIsInTrouble_failNoRequest(Trouble trouble, DataKeyPolicy dataKeys)
      throws Exception {
    FaultyRootKey root = client();
    ResilientRootKey guard =
        ResilientRootKey.around(
            root,
            GuardPolicy.defaults()
                .withDeadline(Duration.ofMillis(300))
                .withAttempts(3, Duration.ofMillis(100)));
    ExecutorService requests = Executors.newFixedThreadPool(8);
    try (Kms kms =
        Kms.builder()
            .rootKey(guard)
            .store(store())
            .keyVersions(CachePolicy.of(Duration.ofMillis(20), Duration.ofHours(1), 1000))
            .dataKeys(dataKeys)
            .build()) {
      kms.keysets().create("orders", KeysetTemplate.defaults());
      EnvelopeCipher cipher = kms.envelopeCipher("orders");
      byte[] old = cipher.encrypt(MESSAGE, CONTEXT);
      kms.keysets().rotate("orders");
      assertUses(cipher, old); // both versions are unwrapped now
      assertEquals(0, kms.statistics().keyVersions().refreshFailures());
      root.always(trouble.fault());
      long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
      // A renewal begun before the trouble may still succeed; not after one that met it has failed.
      while (kms.statistics().keyVersions().refreshFailures() < 2) {
        assertTrue(System.nanoTime() < end, () -> kms.statistics().toString());
        assertUses(cipher, old);
      }
      KmsStatistics before = kms.statistics();
      int rounds = 0;
      while (rounds < 3
          || kms.statistics().keyVersions().refreshFailures()
              < before.keyVersions().refreshFailures() + 2) {
        assertTrue(System.nanoTime() < end, () -> kms.statistics().toString());
        List<Callable<Void>> users =
            IntStream.range(0, 8)
                .mapToObj(
                    user ->
                        (Callable<Void>)
                            () -> {
                              for (int i = 0; i < 20; i++) {
                                assertUses(cipher, old);
                              }
                              return null;
                            })
                .toList();
        for (Future<Void> done : requests.invokeAll(users)) {
          done.get();
        }
        rounds++;
      }
      KmsStatistics after = kms.statistics();
      assertEquals(0, after.envelopes().failures());
      assertEquals(0, after.envelopes().abandoned());
      assertEquals(before.keyVersions().loadFailures(), after.keyVersions().loadFailures());
      assertEquals(before.rootUnwraps(), after.rootUnwraps(), "nothing was renewed");
      int messages = rounds * 8 * 20;
      // Encrypted: one message, one stream, and one anew; decrypted likewise.
      assertEquals(
          before.envelopes().messagesEncrypted() + 3L * messages,
          after.envelopes().messagesEncrypted());
      assertEquals(
          before.envelopes().headersRewrapped() + messages, after.envelopes().headersRewrapped());
    } finally {
      requests.shutdownNow();
    }
  }

  /** Each way to use a key, with a message of an earlier version. */
  private static void assertUses(EnvelopeCipher cipher, byte[] old) throws IOException {
    assertArrayEquals(MESSAGE, cipher.decrypt(old, CONTEXT));
    assertEquals(2, EnvelopeInfo.inspect(cipher.encrypt(MESSAGE, CONTEXT)).keyVersion());
    assertEquals(2, EnvelopeInfo.inspect(cipher.rewrap(old)).keyVersion());
    assertEquals(2, EnvelopeInfo.inspect(cipher.reencrypt(old, CONTEXT)).keyVersion());
    ByteArrayOutputStream sealed = new ByteArrayOutputStream();
    try (EnvelopeOutputStream out = cipher.encryptingStream(sealed, CONTEXT)) {
      out.write(MESSAGE);
    }
    try (InputStream in =
        cipher.decryptingStream(new ByteArrayInputStream(sealed.toByteArray()), CONTEXT)) {
      assertArrayEquals(MESSAGE, in.readAllBytes());
    }
    try (InputStream in = cipher.decryptingStream(new ByteArrayInputStream(old), CONTEXT)) {
      assertArrayEquals(MESSAGE, in.readAllBytes());
    }
  }

  private static void assertFails(Kms kms, String name, Map<String, byte[]> sealed) {
    assertFalse(opens(kms, name, sealed));
  }
}
