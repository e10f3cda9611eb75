package dev.sealwax.kms.testkit;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * What every {@link RootKey} must do. Extend it and say how to open two root keys:
 *
 * <pre>{@code
 * final class MyRootKeyContractTest extends RootKeyContract {
 *   protected RootKey openRootKey() { return MyRootKey.open(...); }
 *   protected RootKey openOtherRootKey() { return MyRootKey.open(...another key...); }
 * }
 * }</pre>
 */
@DisplayName("A root key")
@Timeout(120)
public abstract class RootKeyContract {
  private static final int THREADS = 32;
  private static final int[] SIZES = {1, 2, 15, 16, 17, 31, 32, 33, 64, 255, 256, 1024, 4095, 4096};
  private static final String SECRET_TEXT = "secret-that-must-not-be-printed!";
  private static final String VALUE_TEXT = "value-that-must-not-be-printed";

  protected static final EncryptionContext CONTEXT =
      EncryptionContext.of("sealwax", "key-version/v1", "keyset", "orders", "version", "1");

  private RootKey rootKey;

  /** Opens the root key under test: the same key every time within one test; the kit closes it. */
  protected abstract RootKey openRootKey() throws Exception;

  /** Opens a root key with another id; the kit closes it. */
  protected abstract RootKey openOtherRootKey() throws Exception;

  /** The root key under test, for further tests of a subclass. */
  protected final RootKey rootKey() {
    return rootKey;
  }

  /** The most the provider can wrap; override it only for one that cannot do what the SPI asks. */
  protected int maxSecretBytes() {
    return KeyMaterial.MAX_BYTES;
  }

  /** Round trips of each of 32 threads; override it only where 25 take half a minute. */
  protected int callsPerThread() {
    return 25;
  }

  @BeforeEach
  final void openRootKeyUnderTest() throws Exception {
    rootKey = openRootKey();
  }

  @AfterEach
  final void closeRootKeyUnderTest() {
    rootKey.close();
  }

  @Test
  @DisplayName("returns secrets of every size")
  final void unwrap_ofEverySize_returnsTheSecret() {
    for (int size : SIZES) {
      if (size <= maxSecretBytes()) {
        byte[] secret = random(size);
        assertArrayEquals(secret, unwrap(wrap(secret, CONTEXT), CONTEXT), size + " bytes");
      }
    }
    byte[] largest = random(maxSecretBytes());
    assertArrayEquals(largest, unwrap(wrap(largest, CONTEXT), CONTEXT));
  }

  @Test
  @DisplayName("returns what another instance of it wrapped")
  final void unwrap_byAnotherInstance_returnsTheSecret() throws Exception {
    byte[] secret = random(64);
    WrappedKey wrapped = wrap(secret, CONTEXT);
    try (RootKey second = openRootKey()) {
      assertArrayEquals(secret, unwrap(second, wrapped, CONTEXT));
    }
  }

  @Test
  @DisplayName("takes the largest context")
  final void unwrap_withTheLargestContext_returnsTheSecret() {
    EncryptionContext large =
        EncryptionContext.of("k", "v".repeat(EncryptionContext.MAX_ENCODED_BYTES - 7));
    byte[] secret = random(32);
    assertArrayEquals(secret, unwrap(wrap(secret, large), large));
  }

  @Test
  @DisplayName("wraps the same secret differently each time")
  final void wrap_twice_differs() {
    byte[] secret = random(32);
    assertNotEquals(wrap(secret, CONTEXT), wrap(secret, CONTEXT));
  }

  @Test
  @DisplayName("does not show the secret in what it wraps")
  final void wrap_doesNotShowTheSecret() {
    byte[] secret = random(64);
    String sealed = HexFormat.of().formatHex(wrap(secret, CONTEXT).ciphertext());
    assertFalse(sealed.contains(HexFormat.of().formatHex(secret, 0, 8)));
  }

  @Test
  @DisplayName("leaves the key to the caller")
  final void wrap_leavesTheKeyToTheCaller() {
    byte[] secret = random(32);
    try (KeyMaterial key = KeyMaterial.copyOf(secret)) {
      rootKey.wrap(key, CONTEXT);
      assertArrayEquals(secret, key.use(byte[]::clone));
    }
  }

  @Test
  @DisplayName("wraps under a rule that admits it, and under no other")
  final void wrap_underARule_isUpToItsTags() {
    byte[] secret = random(32);
    RootKeyRule rule = RootKeyRule.any().forbidding("nobody=has-this-tag");
    for (String tag : rootKey.tags()) {
      rule = rule.requiring(tag);
      RootKeyRule without = RootKeyRule.any().forbidding(tag);
      assertEquals(UNSUPPORTED, reasonOf(() -> wrap(secret, CONTEXT, without)));
    }
    assertArrayEquals(secret, unwrap(wrap(secret, CONTEXT, rule), CONTEXT));
    RootKeyRule impossible = rule.requiring("nobody=has-that-tag");
    assertEquals(UNSUPPORTED, reasonOf(() -> wrap(secret, CONTEXT, impossible)));
  }

  private WrappedKey wrap(byte[] secret, EncryptionContext context, RootKeyRule rule) {
    try (KeyMaterial key = KeyMaterial.copyOf(secret)) {
      return rootKey.wrap(key, context, rule);
    }
  }

  @Test
  @DisplayName("refuses a closed key")
  final void wrap_ofAClosedKey_throws() {
    KeyMaterial key = KeyMaterial.copyOf(random(32));
    key.close();
    assertThrows(IllegalStateException.class, () -> rootKey.wrap(key, CONTEXT));
  }

  @Test
  @DisplayName("refuses more than it can wrap")
  final void wrap_ofMoreThanTheMaximum_isRefused() {
    RuntimeException refusal =
        assertThrows(RuntimeException.class, () -> wrap(random(maxSecretBytes() + 1), CONTEXT));
    assertTrue(
        refusal instanceof IllegalArgumentException
            || (refusal instanceof RootKeyException e && e.reason() == UNSUPPORTED),
        refusal.toString());
  }

  @Test
  @DisplayName("gives the secret to the caller")
  final void unwrap_givesTheSecretToTheCaller() {
    byte[] secret = random(32);
    WrappedKey wrapped = wrap(secret, CONTEXT);
    rootKey.unwrap(wrapped, CONTEXT).close();
    try (KeyMaterial second = rootKey.unwrap(wrapped, CONTEXT);
        KeyMaterial third = rootKey.unwrap(wrapped, CONTEXT)) {
      second.close();
      assertArrayEquals(secret, third.use(byte[]::clone));
    }
  }

  @Test
  @DisplayName("has a stable id, which travels with what it wraps")
  final void currentKeyId_isStableAndTravelsWithTheWrappedKey() throws Exception {
    RootKeyId id = rootKey.currentKeyId();
    assertEquals(id, wrap(random(32), CONTEXT).rootKeyId());
    assertEquals(id, rootKey.currentKeyId());
    try (RootKey again = openRootKey();
        RootKey other = openOtherRootKey()) {
      assertEquals(id, again.currentKeyId());
      assertNotEquals(id, other.currentKeyId());
    }
  }

  @Test
  @DisplayName("finds every flipped bit")
  final void unwrap_ofEverySingleBitFlip_isInvalid() {
    WrappedKey wrapped = wrap(random(64), CONTEXT);
    byte[] bytes = wrapped.ciphertext();
    for (int bit = 0; bit < 8 * bytes.length; bit++) {
      bytes[bit / 8] ^= (byte) (1 << bit % 8);
      assertInvalid("bit " + bit, WrappedKey.of(wrapped.rootKeyId(), bytes), CONTEXT);
      bytes[bit / 8] ^= (byte) (1 << bit % 8);
    }
  }

  @Test
  @DisplayName("finds every truncation and extension")
  final void unwrap_ofEveryTruncationAndExtension_isInvalid() {
    WrappedKey wrapped = wrap(random(64), CONTEXT);
    byte[] bytes = wrapped.ciphertext();
    for (int length = 1; length < bytes.length; length++) {
      assertInvalid(
          "first " + length + " bytes",
          WrappedKey.of(wrapped.rootKeyId(), Arrays.copyOf(bytes, length)),
          CONTEXT);
      assertInvalid(
          "last " + length + " bytes",
          WrappedKey.of(
              wrapped.rootKeyId(), Arrays.copyOfRange(bytes, bytes.length - length, bytes.length)),
          CONTEXT);
    }
    for (int length : new int[] {bytes.length + 1, bytes.length + 16, WrappedKey.MAX_BYTES}) {
      assertInvalid(
          "extended to " + length,
          WrappedKey.of(wrapped.rootKeyId(), Arrays.copyOf(bytes, length)),
          CONTEXT);
    }
  }

  @Test
  @DisplayName("finds noise of any length")
  final void unwrap_ofNoise_isInvalid() {
    for (int length : new int[] {1, 2, 16, 82, 146, 300, 4096, WrappedKey.MAX_BYTES}) {
      assertInvalid(
          length + " random bytes", WrappedKey.of(rootKey.currentKeyId(), random(length)), CONTEXT);
      assertInvalid(
          length + " zero bytes", WrappedKey.of(rootKey.currentKeyId(), new byte[length]), CONTEXT);
    }
  }

  @Test
  @DisplayName("binds the context")
  final void unwrap_withAnotherContext_isInvalid() {
    WrappedKey wrapped = wrap(random(32), EncryptionContext.of("a", "1", "b", "2"));
    List<EncryptionContext> others =
        List.of(
            EncryptionContext.empty(),
            EncryptionContext.of("a", "1"),
            EncryptionContext.of("b", "2"),
            EncryptionContext.of("a", "1", "b", "2", "c", ""),
            EncryptionContext.of("a", "1", "b", "3"),
            EncryptionContext.of("a", "1", "B", "2"),
            EncryptionContext.of("a", "2", "b", "1"),
            EncryptionContext.of("a", "1b2"));
    for (EncryptionContext other : others) {
      assertInvalid(other.asMap().toString(), wrapped, other);
    }
    WrappedKey withoutPairs = wrap(random(32), EncryptionContext.empty());
    assertInvalid("pair added to none", withoutPairs, EncryptionContext.of("a", ""));
  }

  @Test
  @DisplayName("takes the pairs of a context in any order")
  final void unwrap_withThePairsInAnotherOrder_returnsTheSecret() {
    byte[] secret = random(32);
    WrappedKey wrapped = wrap(secret, EncryptionContext.of("a", "1", "b", "2"));
    assertArrayEquals(secret, unwrap(wrapped, EncryptionContext.of("b", "2", "a", "1")));
  }

  @Test
  @DisplayName("says that another root key wrapped it")
  final void unwrap_ofAnotherRootKeysWork_isNotFound() throws Exception {
    try (RootKey other = openOtherRootKey();
        KeyMaterial key = KeyMaterial.copyOf(random(32))) {
      WrappedKey wrapped = other.wrap(key, CONTEXT);
      assertEquals(NOT_FOUND, reasonOf(() -> rootKey.unwrap(wrapped, CONTEXT)));
    }
  }

  @Test
  @DisplayName("says so of its own work under another id")
  final void unwrap_ofOwnWorkUnderAnotherId_isNotFound() {
    WrappedKey wrapped = wrap(random(32), CONTEXT);
    WrappedKey renamed = WrappedKey.of(RootKeyId.of("nobody:knows"), wrapped.ciphertext());
    assertEquals(NOT_FOUND, reasonOf(() -> rootKey.unwrap(renamed, CONTEXT)));
  }

  @Test
  @DisplayName("finds another root key's work under its id")
  final void unwrap_ofAnotherRootKeysWorkUnderThisId_isInvalid() throws Exception {
    try (RootKey other = openOtherRootKey();
        KeyMaterial key = KeyMaterial.copyOf(random(32))) {
      byte[] ciphertext = other.wrap(key, CONTEXT).ciphertext();
      assertInvalid(
          "foreign ciphertext", WrappedKey.of(rootKey.currentKeyId(), ciphertext), CONTEXT);
    }
  }

  @Test
  @DisplayName("refuses null")
  final void wrapAndUnwrap_ofNull_throw() {
    WrappedKey wrapped = wrap(random(32), CONTEXT);
    try (KeyMaterial key = KeyMaterial.copyOf(random(32))) {
      assertNullPointer(() -> rootKey.wrap(absent(), CONTEXT));
      assertNullPointer(() -> rootKey.wrap(key, absent()));
      assertNullPointer(() -> rootKey.wrap(absent(), CONTEXT, RootKeyRule.any()));
      assertNullPointer(() -> rootKey.wrap(key, absent(), RootKeyRule.any()));
      assertNullPointer(() -> rootKey.wrap(key, CONTEXT, absent()));
      assertNullPointer(() -> rootKey.unwrap(absent(), CONTEXT));
      assertNullPointer(() -> rootKey.unwrap(wrapped, absent()));
    }
  }

  @Test
  @DisplayName("refuses every use after close")
  final void close_thenUse_throws() {
    WrappedKey wrapped = wrap(random(32), CONTEXT);
    rootKey.close();
    try (KeyMaterial key = KeyMaterial.copyOf(random(32))) {
      assertThrows(IllegalStateException.class, () -> rootKey.wrap(key, CONTEXT));
      assertThrows(
          IllegalStateException.class, () -> rootKey.wrap(key, CONTEXT, RootKeyRule.any()));
    }
    assertThrows(IllegalStateException.class, () -> rootKey.unwrap(wrapped, CONTEXT));
  }

  @Test
  @DisplayName("keeps its id and its tags after close")
  final void close_thenIdAndTags_areWhatTheyWere() {
    RootKeyId id = rootKey.currentKeyId();
    Set<String> tags = rootKey.tags();
    rootKey.close();
    assertEquals(id, rootKey.currentKeyId());
    assertEquals(tags, rootKey.tags());
  }

  @Test
  @DisplayName("has the same tags every time, whoever asks")
  final void tags_areConstant() throws Exception {
    Set<String> tags = Set.copyOf(rootKey.tags());
    wrap(random(32), CONTEXT);
    assertEquals(tags, rootKey.tags());
    try (RootKey again = openRootKey()) {
      assertEquals(tags, again.tags());
    }
  }

  @Test
  @DisplayName("may be closed twice")
  final void close_twice_doesNothing() {
    rootKey.close();
    assertDoesNotThrow(rootKey::close);
  }

  @Test
  @DisplayName("leaves other instances open when one is closed")
  final void close_ofOneInstance_leavesAnotherOpen() throws Exception {
    byte[] secret = random(32);
    WrappedKey wrapped = wrap(secret, CONTEXT);
    try (RootKey second = openRootKey()) {
      rootKey.close();
      assertArrayEquals(secret, unwrap(second, wrapped, CONTEXT));
    }
  }

  @Test
  @DisplayName("serves 32 threads at once")
  final void wrapAndUnwrap_from32Threads_returnEverySecret() throws Exception {
    inThreads(
        thread -> {
          for (int call = 0; call < callsPerThread(); call++) {
            byte[] secret = random(1 + (thread * callsPerThread() + call) % 128);
            EncryptionContext context =
                EncryptionContext.of("thread", "" + thread, "call", "" + call);
            assertArrayEquals(secret, unwrap(wrap(secret, context), context));
          }
        });
  }

  /** A key half wiped would still wrap, and nothing would ever open the result. */
  @Test
  @DisplayName("never wraps what does not open, closed in the middle or not")
  final void close_whileInUse_neverWrapsWhatDoesNotOpen() throws Exception {
    List<byte[]> secrets = new ArrayList<>();
    List<WrappedKey> wrapped = new ArrayList<>();
    CountDownLatch busy = new CountDownLatch(THREADS - 1);
    inThreads(
        thread -> {
          if (thread == 0) {
            busy.await();
            rootKey.close();
            return;
          }
          byte[] secret = random(32);
          while (!Thread.currentThread().isInterrupted()) {
            WrappedKey result;
            try {
              result = wrap(secret, CONTEXT);
            } catch (IllegalStateException closed) {
              return;
            }
            synchronized (secrets) {
              secrets.add(secret);
              wrapped.add(result);
            }
            busy.countDown();
          }
        });
    try (RootKey second = openRootKey()) {
      for (int i = 0; i < secrets.size(); i++) {
        assertArrayEquals(secrets.get(i), unwrap(second, wrapped.get(i), CONTEXT));
      }
    }
    assertTrue(secrets.size() >= THREADS - 1, "wrapped only " + secrets.size());
  }

  @Test
  @DisplayName("prints neither a secret nor a context value")
  final void failures_printNeitherSecretNorContextValue() throws Exception {
    byte[] secret = SECRET_TEXT.getBytes(StandardCharsets.US_ASCII);
    EncryptionContext context = EncryptionContext.of("name", VALUE_TEXT);
    WrappedKey wrapped = wrap(secret, context);
    byte[] altered = wrapped.ciphertext();
    altered[altered.length - 1] ^= 1;
    List<Throwable> failures = new ArrayList<>();
    failures.add(
        failureOf(() -> rootKey.unwrap(WrappedKey.of(wrapped.rootKeyId(), altered), context)));
    failures.add(
        failureOf(
            () ->
                rootKey.unwrap(
                    WrappedKey.of(RootKeyId.of("nobody:knows"), wrapped.ciphertext()), context)));
    failures.add(
        failureOf(() -> rootKey.unwrap(wrapped, EncryptionContext.of("name", VALUE_TEXT + "2"))));
    rootKey.close();
    failures.add(failureOf(() -> rootKey.unwrap(wrapped, context)));
    failures.add(failureOf(() -> wrap(secret, context)));
    for (Throwable failure : failures) {
      for (Throwable t = failure; t != null; t = t.getCause()) {
        assertSilent(t.toString(), secret);
        for (Throwable suppressed : t.getSuppressed()) {
          assertSilent(suppressed.toString(), secret);
        }
      }
    }
    assertSilent(rootKey.toString(), secret);
    assertSilent(wrapped.toString(), secret);
  }

  private static void assertSilent(String text, byte[] secret) {
    assertFalse(text.contains(SECRET_TEXT), text);
    assertFalse(
        text.toLowerCase(java.util.Locale.ROOT).contains(HexFormat.of().formatHex(secret, 0, 8)),
        text);
    assertFalse(text.contains(VALUE_TEXT), text);
  }

  private static Throwable failureOf(Callable<?> call) throws Exception {
    try {
      call.call();
    } catch (RootKeyException | IllegalStateException e) {
      return e;
    }
    return fail("nothing was refused");
  }

  private void assertInvalid(String what, WrappedKey wrapped, EncryptionContext context) {
    try (KeyMaterial opened = rootKey.unwrap(wrapped, context)) {
      fail(what + " was accepted as " + opened);
    } catch (RootKeyException e) {
      assertEquals(INVALID_CIPHERTEXT, e.reason(), what);
    }
  }

  private static RootKeyException.Reason reasonOf(Callable<?> call) {
    return assertThrows(RootKeyException.class, call::call).reason();
  }

  private static void assertNullPointer(Callable<?> call) {
    assertThrows(NullPointerException.class, call::call);
  }

  /** Null where the type forbids it, as a caller without null checking would pass it. */
  @SuppressWarnings({"NullAway", "TypeParameterUnusedInFormals"})
  private static <T> T absent() {
    return null;
  }

  private WrappedKey wrap(byte[] secret, EncryptionContext context) {
    try (KeyMaterial key = KeyMaterial.copyOf(secret)) {
      return rootKey.wrap(key, context);
    }
  }

  private byte[] unwrap(WrappedKey wrapped, EncryptionContext context) {
    return unwrap(rootKey, wrapped, context);
  }

  private static byte[] unwrap(RootKey opener, WrappedKey wrapped, EncryptionContext context) {
    try (KeyMaterial key = opener.unwrap(wrapped, context)) {
      return key.use(byte[]::clone);
    }
  }

  private static byte[] random(int length) {
    byte[] bytes = new byte[length];
    new SecureRandom().nextBytes(bytes);
    return bytes;
  }

  private interface ThreadBody {
    void run(int thread) throws Exception;
  }

  private static void inThreads(ThreadBody body) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(THREADS);
    CountDownLatch start = new CountDownLatch(1);
    try {
      List<Future<?>> results = new ArrayList<>();
      IntStream.range(0, THREADS)
          .forEach(
              thread ->
                  results.add(
                      pool.submit(
                          () -> {
                            start.await();
                            body.run(thread);
                            return null;
                          })));
      start.countDown();
      for (Future<?> result : results) {
        result.get();
      }
    } finally {
      pool.shutdownNow();
    }
  }
}
