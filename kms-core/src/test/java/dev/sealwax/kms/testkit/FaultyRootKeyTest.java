package dev.sealwax.kms.testkit;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.THROTTLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Tests that lean on this decorator are worth what it is worth. */
@Timeout(30)
final class FaultyRootKeyTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.empty();

  @TempDir Path directory;
  private KeyMaterial key;
  private FaultyRootKey faulty;

  @BeforeEach
  void open() {
    key = KeyMaterial.copyOf(new byte[32]);
    faulty = FaultyRootKey.around(LocalRootKey.create(directory.resolve("root.key"), key));
  }

  @AfterEach
  void close() {
    faulty.close();
    key.close();
  }

  @Test
  void calls_takeTheScriptInOrderThenTheStandingFault() {
    IllegalStateException odd = new IllegalStateException("odd");
    faulty.next(Fault.failing(THROTTLED), Fault.NONE, Fault.throwing(odd));
    assertEquals(THROTTLED, assertThrows(RootKeyException.class, this::wrap).reason());
    WrappedKey wrapped = wrap();
    assertSame(odd, assertThrows(IllegalStateException.class, () -> unwrap(wrapped)));
    faulty.always(Fault.failing(UNAVAILABLE));
    assertEquals(UNAVAILABLE, assertThrows(RootKeyException.class, this::wrap).reason());
    faulty.always(Fault.NONE);
    assertTrue(unwrap(wrapped).contentEquals(key));
    assertEquals(3, faulty.wraps());
    assertEquals(2, faulty.unwraps());
  }

  @Test
  void answeringWrongly_givesAnotherSecretAndWhatNeverOpens() {
    WrappedKey wrapped = wrap();
    faulty.next(Fault.answeringWrongly(), Fault.answeringWrongly());
    KeyMaterial wrong = unwrap(wrapped);
    assertEquals(32, wrong.lengthBytes());
    assertFalse(wrong.contentEquals(key));
    WrappedKey broken = wrap();
    assertThrows(RootKeyException.class, () -> unwrap(broken));
  }

  @Test
  void hanging_waitsForItsRelease() {
    CountDownLatch release = new CountDownLatch(1);
    faulty.next(Fault.hanging(release));
    CompletableFuture<WrappedKey> call = CompletableFuture.supplyAsync(this::wrap);
    while (faulty.wraps() == 0) {
      Thread.onSpinWait();
    }
    assertFalse(call.isDone());
    release.countDown();
    assertTrue(unwrap(call.join()).contentEquals(key));
  }

  @Test
  void delaying_takesAtLeastThatLong() {
    faulty.next(Fault.delaying(Duration.ofMillis(20)));
    long start = System.nanoTime();
    wrap();
    assertTrue(System.nanoTime() - start >= Duration.ofMillis(20).toNanos());
  }

  @Test
  void delaying_whenInterrupted_fails() {
    faulty.next(Fault.delaying(Duration.ofDays(1)));
    Thread.currentThread().interrupt();
    assertEquals(UNAVAILABLE, assertThrows(RootKeyException.class, this::wrap).reason());
    assertTrue(Thread.interrupted());
  }

  private WrappedKey wrap() {
    return faulty.wrap(key, CONTEXT);
  }

  private KeyMaterial unwrap(WrappedKey wrapped) {
    return faulty.unwrap(wrapped, CONTEXT);
  }
}
