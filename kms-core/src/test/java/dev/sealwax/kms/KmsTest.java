package dev.sealwax.kms;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.keyset.Keysets;
import dev.sealwax.kms.keyset.ManualTime;
import dev.sealwax.kms.keyset.RotationPolicy;
import dev.sealwax.kms.keyset.ScheduledChange;
import dev.sealwax.kms.keyset.ScheduledChange.Outcome;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.testkit.ForwardingKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeyStateException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class KmsTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.of("table", "orders");
  private static final byte[] MESSAGE = {1, 2, 3};

  @TempDir Path directory;

  private SpyRoot root;
  private SpyStore store;

  @BeforeEach
  void createRootKey() {
    try (KeyMaterial sealingKey = KeyMaterial.random(new SecureRandom(), 32)) {
      root = new SpyRoot(LocalRootKey.create(directory.resolve("root.key"), sealingKey));
    }
    store = new SpyStore();
  }

  private Kms.Builder builder() {
    return Kms.builder().rootKey(root).store(store);
  }

  private static Kms withOrders(Kms.Builder builder) {
    Kms kms = builder.build();
    kms.keysets().create("orders", KeysetTemplate.defaults());
    return kms;
  }

  // --- scheduler ---

  @Test
  void scheduler_started_rotatesUntilClose() throws InterruptedException {
    BlockingQueue<ScheduledChange> changes = new LinkedBlockingQueue<>();
    ManualTime time = new ManualTime();
    try (Kms kms = withOrders(builder().clock(time))) {
      time.advance(Duration.ofDays(91));
      kms.startScheduler(Duration.ofSeconds(1), changes::add);
      assertEquals(
          new ScheduledChange(KeysetId.of("orders"), Outcome.PUBLISHED, 2, null),
          changes.poll(30, TimeUnit.SECONDS));
      assertThrows(IllegalStateException.class, kms::startScheduler);
    }
    int loads = store.loads;
    Thread.sleep(1500);
    assertEquals(loads, store.loads, "closed with its Kms");
  }

  @Test
  void close_reportsWhatAPolicyCounts() throws IOException {
    RotationPolicy policy = RotationPolicy.manual().afterMessages(1 << 20);
    Path keysets = Files.createDirectory(directory.resolve("keysets"));
    try (Kms kms = builder().store(FileKeysetStore.at(keysets)).build()) {
      kms.keysets().create("orders", KeysetTemplate.defaults().withRotationPolicy(policy));
      for (int i = 0; i < 100; i++) {
        kms.envelopeCipher("orders").encrypt(MESSAGE, CONTEXT);
      }
    }
    try (KeysetStore after = FileKeysetStore.at(keysets)) {
      String document = after.load(KeysetId.of("orders")).orElseThrow().document();
      assertTrue(document.contains("\"messages\":100,\"bytes\":300,"), document);
    }
  }

  // --- builder ---

  @Test
  void build_withoutRootKeyOrStore_namesWhatIsMissing() {
    assertMessageHolds(
        "root key",
        assertThrows(IllegalStateException.class, () -> Kms.builder().store(store).build()));
    assertMessageHolds(
        "store",
        assertThrows(IllegalStateException.class, () -> Kms.builder().rootKey(root).build()));
  }

  @Test
  void build_touchesNeitherRootKeyNorStore() {
    builder().build().close();
    assertEquals(0, root.calls);
    assertEquals(0, store.loads);
  }

  @ParameterizedTest
  @ValueSource(strings = {"PT0S", "PT-1S", "PT0.009999999S", "PT24H0.000000001S"})
  void refreshInterval_outsideItsLimits_isRefused(String interval) {
    assertMessageHolds(
        interval,
        assertThrows(
            IllegalArgumentException.class,
            () -> Kms.builder().refreshInterval(Duration.parse(interval))));
  }

  @ParameterizedTest
  @ValueSource(strings = {"PT0.01S", "PT24H"})
  void refreshInterval_atItsLimits_isTaken(String interval) {
    withOrders(builder().refreshInterval(Duration.parse(interval))).close();
  }

  @Test
  void build_twice_throwsIllegalStateException() {
    Kms.Builder builder = builder();
    try (Kms kms = builder.build()) {
      IllegalStateException thrown = assertThrows(IllegalStateException.class, builder::build);
      assertTrue(thrown.getMessage().contains("has built its Kms"), thrown::getMessage);
      kms.keysets().create("orders", KeysetTemplate.defaults());
    }
  }

  @Test
  void builder_nullParts_throwNullPointerException() {
    Kms.Builder builder = Kms.builder();
    List<Runnable> calls =
        List.of(
            () -> builder.rootKey(nothing()),
            () -> builder.store(nothing()),
            () -> builder.dataKeys(nothing()),
            () -> builder.keyVersions(nothing()),
            () -> builder.refreshInterval(nothing()),
            () -> builder.clock(nothing()),
            () -> builder.listener(nothing()));
    calls.forEach(call -> assertThrows(NullPointerException.class, call::run));
  }

  @SuppressWarnings({"TypeParameterUnusedInFormals", "NullAway"})
  private static <T> T nothing() {
    return null;
  }

  @Test
  void clock_datesTheChanges() {
    Instant then = Instant.parse("2030-01-02T03:04:05Z");
    try (Kms kms = withOrders(builder().clock(Clock.fixed(then, ZoneOffset.UTC)))) {
      assertEquals(then, kms.keysets().get("orders").createdAt());
    }
  }

  @Test
  void listener_hearsOfEnvelopesAndKeysets() {
    Queue<KmsEvent> events = new ConcurrentLinkedQueue<>();
    try (Kms kms = withOrders(builder().listener(events::add))) {
      kms.envelopeCipher("orders").encrypt(MESSAGE, CONTEXT);
    }
    Set<KmsEvent.Operation> heard =
        events.stream().map(KmsEvent::operation).collect(Collectors.toSet());
    assertEquals(
        Set.of(
            KmsEvent.Operation.ROOT_WRAP,
            KmsEvent.Operation.KEYSET_CHANGE,
            KmsEvent.Operation.ENCRYPT),
        heard);
  }

  @Test
  void listener_hearsOfAChangedVersionWhichItIs() {
    List<KmsEvent> changes = new ArrayList<>();
    try (Kms kms =
        withOrders(
            builder()
                .listener(
                    event -> {
                      if (event.operation() == KmsEvent.Operation.KEYSET_CHANGE) {
                        changes.add(event);
                      }
                    }))) {
      kms.keysets().rotate("orders");
      kms.keysets().disable("orders", 2);
      assertThrows(KeyStateException.class, () -> kms.keysets().disable("orders", 7));
      kms.keysets().scheduleDestruction("orders");
    }
    assertEquals(List.of(0, 0, 2, 7, 0), changes.stream().map(KmsEvent::keyVersion).toList());
  }

  @Test
  void keysets_afterClose_sayThatTheKmsIsClosed() {
    Kms kms = withOrders(builder());
    Keysets keysets = kms.keysets();
    kms.close();
    List<Runnable> calls =
        List.of(
            keysets::list,
            () -> keysets.get("orders"),
            () -> keysets.rotate("orders"),
            () -> keysets.create("files", KeysetTemplate.defaults()));
    for (Runnable call : calls) {
      assertEquals(
          "the Kms is closed", assertThrows(IllegalStateException.class, call::run).getMessage());
    }
  }

  @Test
  void strict_asksTheRootKeyForEveryMessage() {
    try (Kms kms = withOrders(builder().strict())) {
      EnvelopeCipher cipher = kms.envelopeCipher("orders");
      byte[] first = cipher.encrypt(MESSAGE, CONTEXT);
      byte[] second = cipher.encrypt(MESSAGE, CONTEXT);
      assertNotEquals(
          EnvelopeInfo.inspect(first).dataKeyId(), EnvelopeInfo.inspect(second).dataKeyId());
      long before = kms.statistics().rootUnwraps();
      cipher.decrypt(first, CONTEXT);
      cipher.decrypt(first, CONTEXT);
      assertEquals(before + 2, kms.statistics().rootUnwraps());
    }
  }

  // --- use ---

  @Test
  void envelopeCipher_isTheSameObjectForAName_andRefusesWhatIsNoName() {
    try (Kms kms = builder().build()) {
      assertSame(kms.envelopeCipher("orders"), kms.envelopeCipher("orders"));
      for (String name : List.of("", "Orders", "a/b", "-a", "a".repeat(65))) {
        assertThrows(IllegalArgumentException.class, () -> kms.envelopeCipher(name));
      }
      assertThrows(NullPointerException.class, () -> kms.envelopeCipher(nothing()));
    }
  }

  @Test
  void statistics_countWhatWasDone() {
    try (Kms kms = withOrders(builder())) {
      EnvelopeCipher cipher = kms.envelopeCipher("orders");
      byte[] envelope = cipher.encrypt(MESSAGE, CONTEXT);
      cipher.decrypt(envelope, CONTEXT);
      kms.keysets().rotate("orders");
      cipher.rewrap(envelope);

      KmsStatistics statistics = kms.statistics();
      assertEquals(1, statistics.envelopes().messagesEncrypted());
      assertEquals(3, statistics.envelopes().bytesEncrypted());
      assertEquals(1, statistics.envelopes().messagesDecrypted());
      assertEquals(1, statistics.envelopes().headersRewrapped());
      assertEquals(2, statistics.rootWraps());
      assertEquals(0, statistics.rootUnwraps());
      assertEquals(2, statistics.keyVersions().entries());
    }
  }

  @Test
  void discardDataKeys_laterMessagesHaveOtherKeysAndEarlierOnesOpen() {
    try (Kms kms = withOrders(builder())) {
      EnvelopeCipher cipher = kms.envelopeCipher("orders");
      byte[] before = cipher.encrypt(MESSAGE, CONTEXT);
      kms.discardDataKeys();
      byte[] after = cipher.encrypt(MESSAGE, CONTEXT);
      assertNotEquals(
          EnvelopeInfo.inspect(before).dataKeyId(), EnvelopeInfo.inspect(after).dataKeyId());
      assertArrayEquals(MESSAGE, cipher.decrypt(before, CONTEXT));
    }
  }

  @Test
  void thousandsOfKeysets_everyOneWorks() {
    int count = 3000;
    try (Kms kms = builder().build()) {
      byte[][] envelopes = new byte[count][];
      for (int i = 0; i < count; i++) {
        kms.keysets().create("tenant-" + i, KeysetTemplate.defaults());
        envelopes[i] = kms.envelopeCipher("tenant-" + i).encrypt(MESSAGE, CONTEXT);
      }
      for (int i = 0; i < count; i++) {
        assertArrayEquals(
            MESSAGE, kms.envelopeCipher("tenant-" + i).decrypt(envelopes[i], CONTEXT));
      }
      assertEquals(count, kms.keysets().list().count());
      assertEquals(count, kms.statistics().keyVersions().entries());
    }
  }

  // --- close ---

  @Test
  void close_closesRootKeyAndStore_twiceDoesNoHarm() {
    Kms kms = withOrders(builder());
    kms.close();
    assertEquals(1, root.closed);
    assertEquals(1, store.closed);
    kms.close();
  }

  @Test
  void close_whenTheRootKeyFailsTo_closesTheStoreAndSaysSo() {
    root.failure = new IllegalArgumentException("root");
    Kms kms = withOrders(builder());
    EnvelopeCipher cipher = kms.envelopeCipher("orders");
    assertSame(root.failure, assertThrows(RuntimeException.class, kms::close));
    assertEquals(1, store.closed);
    assertAllRefused(kms, cipher);
  }

  @Test
  void close_whenBothFail_reportsBoth() {
    root.failure = new IllegalArgumentException("root");
    store.failure = new IllegalArgumentException("store");
    Kms kms = withOrders(builder());
    RuntimeException thrown = assertThrows(RuntimeException.class, kms::close);
    assertEquals(1, root.closed);
    assertSame(store.failure, thrown);
    assertSame(root.failure, thrown.getSuppressed()[0]);
  }

  @Test
  void close_laterOperationsFail() {
    Kms kms = withOrders(builder());
    EnvelopeCipher cipher = kms.envelopeCipher("orders");
    cipher.encrypt(MESSAGE, CONTEXT);
    kms.close();
    assertAllRefused(kms, cipher);
    assertThrows(IllegalStateException.class, () -> kms.envelopeCipher("never-used-before"));
    kms.discardDataKeys();
    assertEquals(1, kms.statistics().envelopes().messagesEncrypted());
    assertEquals(0, kms.statistics().keyVersions().entries());
  }

  private static void assertAllRefused(Kms kms, EnvelopeCipher cipher) {
    assertThrows(IllegalStateException.class, () -> cipher.encrypt(MESSAGE, CONTEXT));
    assertThrows(IllegalStateException.class, () -> kms.keysets().get("orders"));
    assertThrows(IllegalStateException.class, () -> kms.keysets().rotate("orders"));
    assertThrows(
        IllegalStateException.class,
        () -> kms.keysets().create("fresh", KeysetTemplate.defaults()));
  }

  @Test
  void close_endsTheThreadsOfThisKms_allDaemons() throws InterruptedException {
    Set<Thread> before = sealwaxThreads();
    Kms kms = withOrders(builder().refreshInterval(Duration.ofMillis(10)));
    Set<Thread> own = Set.of();
    Set<String> expected = Set.of("sealwax-clock", "sealwax-refresh", "sealwax-expire");
    for (int i = 0; i < 2000 && !names(own).containsAll(expected); i++) {
      kms.envelopeCipher("orders").encrypt(MESSAGE, CONTEXT);
      TimeUnit.MILLISECONDS.sleep(5);
      own = sealwaxThreads();
      own.removeAll(before);
    }
    assertTrue(names(own).containsAll(expected), names(own).toString());
    own.forEach(thread -> assertTrue(thread.isDaemon(), thread.getName()));
    kms.close();
    for (Thread thread : own) {
      thread.join(5000);
      assertTrue(!thread.isAlive(), () -> thread.getName() + " runs on after close");
    }
  }

  private static Set<String> names(Set<Thread> threads) {
    return threads.stream().map(Thread::getName).collect(Collectors.toSet());
  }

  /** The warm-up of the JIT compiler belongs to the process and ends by itself. */
  private static Set<Thread> sealwaxThreads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().startsWith("sealwax-"))
        .filter(thread -> !thread.getName().equals("sealwax-warm-up"))
        .collect(Collectors.toSet());
  }

  private static void assertMessageHolds(String part, RuntimeException failure) {
    assertTrue(String.valueOf(failure.getMessage()).contains(part), failure::getMessage);
  }

  private static final class SpyRoot implements RootKey {
    private final RootKey target;
    private int calls;
    private int closed;
    private RuntimeException failure;

    SpyRoot(RootKey target) {
      this.target = target;
    }

    @Override
    public RootKeyId currentKeyId() {
      calls++;
      return target.currentKeyId();
    }

    @Override
    public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
      calls++;
      return target.wrap(key, context);
    }

    @Override
    public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
      calls++;
      return target.unwrap(wrapped, context);
    }

    @Override
    public void close() {
      closed++;
      target.close();
      if (failure != null) {
        throw failure;
      }
    }
  }

  private static final class SpyStore extends ForwardingKeysetStore {
    private int loads;
    private int closed;
    private RuntimeException failure;

    SpyStore() {
      super(InMemoryKeysetStore.create());
    }

    @Override
    public Optional<StoredKeyset> load(KeysetId id) {
      loads++;
      return super.load(id);
    }

    @Override
    public void close() {
      closed++;
      super.close();
      if (failure != null) {
        throw failure;
      }
    }
  }
}
