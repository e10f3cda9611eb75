package dev.sealwax.kms;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.ResilientRootKey;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.testkit.ForwardingKeysetStore;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.GuardHealth;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

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
    Map<String, byte[]> sealed = new LinkedHashMap<>();
    try (Kms kms = Kms.builder().rootKey(client()).store(store()).build()) {
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
          ResilientRootKey.builder(clients.get(i))
              .rate(callsPerSecond)
              .deadline(Duration.ofSeconds(60))
              .attempts(1, Duration.ofSeconds(60))
              .build());
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
        ResilientRootKey.builder(root)
            .pauses(Duration.ofMillis(1), Duration.ofMillis(1))
            .circuit(10, Duration.ofSeconds(30))
            .build();
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
      long quickest = Long.MAX_VALUE;
      for (int i = next; i < 30; i++) {
        long start = System.nanoTime();
        assertFails(kms, "tenant-" + i, sealed);
        quickest = Math.min(quickest, System.nanoTime() - start);
      }
      assertEquals(calls, root.unwraps());
      assertTrue(quickest < TimeUnit.MILLISECONDS.toNanos(50), quickest + " ns");
      IntStream.range(0, 100)
          .forEach(
              i ->
                  assertArrayEquals(
                      MESSAGE,
                      kms.envelopeCipher("tenant-0").decrypt(sealed.get("tenant-0"), CONTEXT)));
    }
  }

  private static void assertFails(Kms kms, String name, Map<String, byte[]> sealed) {
    RootKeyException thrown =
        assertThrows(
            RootKeyException.class,
            () -> kms.envelopeCipher(name).decrypt(sealed.get(name), CONTEXT));
    assertEquals(UNAVAILABLE, thrown.reason());
  }
}
