package dev.sealwax.kms;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import dev.sealwax.kms.vocabulary.KmsListener;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Listeners that use the {@link Kms} they hear of, as an audit log that is encrypted would. */
@Timeout(60)
class ListenerTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.of("row", "1");

  @TempDir private Path directory;
  private final AtomicReference<Kms> kms = new AtomicReference<>();

  private Kms open(KmsListener listener) {
    LocalRootKey root = TestRootKeys.openOrCreate(directory.resolve("root.key"));
    FileKeysetStore store = FileKeysetStore.at(directory.resolve("keysets"));
    Kms opened = Kms.builder().rootKey(root).store(store).listener(listener).build();
    kms.set(opened);
    return opened;
  }

  @Test
  void onEvent_usesTheKeyBeingLoaded_neitherHangsNorHearsItself() {
    byte[] envelope;
    try (Kms first = open(event -> {})) {
      first.keysets().create("orders", KeysetTemplate.defaults());
      envelope = first.envelopeCipher("orders").encrypt(new byte[5], CONTEXT);
    }
    Queue<KmsEvent> heard = new ConcurrentLinkedQueue<>();
    Queue<byte[]> opened = new ConcurrentLinkedQueue<>();
    try (Kms second =
        open(
            event -> {
              heard.add(event);
              Kms self = kms.get();
              EnvelopeCipher cipher = self.envelopeCipher("orders");
              opened.add(cipher.decrypt(envelope, CONTEXT));
              opened.add(cipher.decrypt(cipher.encrypt(new byte[5], CONTEXT), CONTEXT));
              self.keysets().get("orders");
            })) {
      assertArrayEquals(new byte[5], second.envelopeCipher("orders").decrypt(envelope, CONTEXT));
      assertEquals(
          List.of(Operation.ROOT_UNWRAP, Operation.KEYSET_LOAD, Operation.DECRYPT),
          heard.stream().map(KmsEvent::operation).toList());
      assertEquals(2 * heard.size(), opened.size());
      second.keysets().rotate("orders");
      assertTrue(heard.stream().anyMatch(e -> e.operation() == Operation.KEYSET_CHANGE));
    }
  }

  /** Each listener needs the keyset that the other's thread is loading. */
  @Test
  void onEvent_crosswise_doesNotHang() throws Exception {
    Map<String, String> other = Map.of("orders", "files", "files", "orders");
    try (Kms first = open(event -> {})) {
      for (String name : other.keySet()) {
        first.keysets().create(name, KeysetTemplate.defaults());
      }
    }
    CountDownLatch bothInListener = new CountDownLatch(2);
    KmsListener crosswise =
        event -> {
          if (event.operation() == Operation.KEYSET_LOAD) {
            bothInListener.countDown();
            try {
              bothInListener.await(1, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
              throw new IllegalStateException(e);
            }
            kms.get()
                .envelopeCipher(other.get(event.keyset().value()))
                .encrypt(new byte[1], CONTEXT);
          }
        };
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try (Kms second = open(crosswise)) {
      List<Future<byte[]>> sealed = new ArrayList<>();
      for (String name : other.keySet()) {
        sealed.add(threads.submit(() -> second.envelopeCipher(name).encrypt(new byte[1], CONTEXT)));
      }
      for (Future<byte[]> one : sealed) {
        assertTrue(one.get(30, TimeUnit.SECONDS).length > 0);
      }
    } finally {
      threads.shutdownNow();
    }
  }

  /** One listener may use another Kms, whose own listener hears of that. */
  @Test
  void onEvent_ofAnotherKms_isHeardByItsListener() {
    Queue<KmsEvent> heard = new ConcurrentLinkedQueue<>();
    try (Kms audited = open(heard::add)) {
      audited.keysets().create("audit", KeysetTemplate.defaults());
      heard.clear();
      try (Kms auditing =
          open(event -> audited.envelopeCipher("audit").encrypt(new byte[1], CONTEXT))) {
        auditing.keysets().create("orders", KeysetTemplate.defaults());
      }
    }
    assertTrue(heard.stream().anyMatch(e -> e.operation() == Operation.ENCRYPT), heard::toString);
  }

  @Test
  void onEvent_isToldOfFailuresInTheMiddleOfALoadToo() {
    Queue<KmsEvent> heard = new ConcurrentLinkedQueue<>();
    try (Kms only = open(heard::add)) {
      assertEquals(
          "NOT_FOUND",
          assertThrows(
                  KeysetStoreException.class,
                  () -> only.envelopeCipher("none").encrypt(new byte[1], CONTEXT))
              .reason()
              .name());
      assertEquals(
          List.of(Operation.KEYSET_LOAD, Operation.ENCRYPT),
          heard.stream().map(KmsEvent::operation).toList());
      assertTrue(heard.stream().noneMatch(KmsEvent::isSuccess));
      assertTrue(heard.stream().allMatch(e -> e.duration().compareTo(Duration.ZERO) > 0));
    }
  }
}
