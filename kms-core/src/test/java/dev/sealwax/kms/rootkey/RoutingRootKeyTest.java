package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class RoutingRootKeyTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.empty();

  /** Returns the wrapped bytes as they are; owns its current id and earlier ones. */
  private static final class PlainRootKey implements RootKey {
    private final RootKeyId current;
    private final Set<RootKeyId> earlier;
    private int closes;

    PlainRootKey(String current, RootKeyId... earlier) {
      this.current = RootKeyId.of(current);
      this.earlier = Set.of(earlier);
    }

    @Override
    public RootKeyId currentKeyId() {
      return current;
    }

    @Override
    public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
      return WrappedKey.of(current, key.use(byte[]::clone));
    }

    @Override
    public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
      if (!wrapped.rootKeyId().equals(current) && !earlier.contains(wrapped.rootKeyId())) {
        throw new RootKeyException(NOT_FOUND, "not mine");
      }
      return KeyMaterial.owning(wrapped.ciphertext());
    }

    @Override
    public void close() {
      closes++;
    }
  }

  private static final RootKeyId EARLIER = RootKeyId.of("hsm:earlier");

  private final PlainRootKey plainHsm = new PlainRootKey("hsm:a");
  private final FaultyRootKey hsm = FaultyRootKey.around(plainHsm);
  private final FaultyRootKey rotatedHsm = FaultyRootKey.around(new PlainRootKey("hsm:b", EARLIER));
  private final FaultyRootKey cloud = FaultyRootKey.around(new PlainRootKey("cloud:c"));

  @Test
  void wrap_usesTheCurrentRootKeyOnly() {
    try (RoutingRootKey routing = RoutingRootKey.of(hsm, rotatedHsm, cloud);
        KeyMaterial key = KeyMaterial.copyOf(new byte[] {1})) {
      assertEquals("hsm:a", routing.currentKeyId().value());
      assertEquals("hsm:a", routing.wrap(key, CONTEXT).rootKeyId().value());
      assertEquals(1, hsm.wraps());
      assertEquals(0, rotatedHsm.wraps() + cloud.wraps());
    }
  }

  @Test
  void unwrap_ofACurrentId_asksItsOwnerOnly() {
    try (RoutingRootKey routing = RoutingRootKey.of(hsm, rotatedHsm, cloud)) {
      assertUnwraps(routing, RootKeyId.of("cloud:c"));
      assertUnwraps(routing, RootKeyId.of("hsm:b"));
      assertEquals(0, hsm.unwraps());
      assertEquals(1, rotatedHsm.unwraps());
      assertEquals(1, cloud.unwraps());
    }
  }

  @Test
  void unwrap_whenTheOwnerFails_asksNobodyElse() {
    rotatedHsm.always(Fault.failing(UNAVAILABLE));
    try (RoutingRootKey routing = RoutingRootKey.of(hsm, rotatedHsm)) {
      assertEquals(UNAVAILABLE, failure(routing, RootKeyId.of("hsm:b")).reason());
      assertEquals(0, hsm.unwraps());
    }
  }

  @Test
  void unwrap_ofAnEarlierId_asksProvidersOfItsSchemeOnly() {
    try (RoutingRootKey routing = RoutingRootKey.of(cloud, hsm, rotatedHsm)) {
      assertUnwraps(routing, EARLIER);
      assertEquals(1, hsm.unwraps());
      assertEquals(1, rotatedHsm.unwraps());
      assertEquals(0, cloud.unwraps());
    }
  }

  @Test
  void unwrap_ofAnEarlierId_passesAProviderThatIsDown() {
    hsm.always(Fault.failing(UNAVAILABLE));
    try (RoutingRootKey routing = RoutingRootKey.of(hsm, rotatedHsm)) {
      assertUnwraps(routing, EARLIER);
    }
  }

  @Test
  void unwrap_whenAPossibleOwnerIsDown_doesNotClaimNotFound() {
    RootKeyId unknown = RootKeyId.of("hsm:unknown");
    hsm.always(Fault.failing(UNAVAILABLE));
    try (RoutingRootKey routing = RoutingRootKey.of(hsm, rotatedHsm)) {
      assertEquals(UNAVAILABLE, failure(routing, unknown).reason());
    }
    hsm.always(Fault.NONE);
    rotatedHsm.always(Fault.failing(INVALID_CIPHERTEXT));
    try (RoutingRootKey routing = RoutingRootKey.of(hsm, rotatedHsm)) {
      assertEquals(INVALID_CIPHERTEXT, failure(routing, unknown).reason());
    }
  }

  @Test
  void unwrap_ofAnUnknownId_isNotFoundAndListsTheKnown() {
    try (RoutingRootKey routing = RoutingRootKey.of(hsm, rotatedHsm, cloud)) {
      for (String unknown : new String[] {"hsm:unknown", "other:x"}) {
        RootKeyException failure = failure(routing, RootKeyId.of(unknown));
        assertEquals(NOT_FOUND, failure.reason());
        for (String name : new String[] {unknown, "hsm:a", "hsm:b", "cloud:c"}) {
          assertTrue(failure.getMessage().contains(name), failure.getMessage());
        }
      }
    }
  }

  @Test
  void of_oneIdTwice_throwsAndClosesNothing() {
    assertThrows(
        IllegalArgumentException.class,
        () -> RoutingRootKey.of(cloud, hsm, new PlainRootKey("hsm:a")));
    assertThrows(IllegalArgumentException.class, () -> RoutingRootKey.of(hsm, hsm));
    assertEquals(0, plainHsm.closes);
  }

  @Test
  @SuppressWarnings("NullAway")
  void of_null_throws() {
    RootKey absent = null;
    assertThrows(NullPointerException.class, () -> RoutingRootKey.of(absent));
    assertThrows(NullPointerException.class, () -> RoutingRootKey.of(hsm, absent));
  }

  /** A root key whose close fails. */
  private static FaultyRootKey failingOnClose(String id, RuntimeException failure) {
    return FaultyRootKey.around(
        new ForwardingRootKey(new PlainRootKey(id)) {
          @Override
          public void close() {
            throw failure;
          }
        });
  }

  @Test
  void close_whenSomeFail_closesTheRestAndReportsAll() {
    RuntimeException first = new IllegalStateException("first");
    RuntimeException second = new IllegalStateException("second");
    RoutingRootKey routing =
        RoutingRootKey.of(failingOnClose("x:1", first), failingOnClose("x:2", second), hsm);
    assertSame(first, assertThrows(IllegalStateException.class, routing::close));
    assertArrayEquals(new Throwable[] {second}, first.getSuppressed());
    assertEquals(1, plainHsm.closes);
    routing.close();
    assertEquals(1, plainHsm.closes);
  }

  @Test
  void close_thenUnwrapOfAnUnknownId_throws() {
    RoutingRootKey routing = RoutingRootKey.of(hsm);
    routing.close();
    WrappedKey wrapped = WrappedKey.of(RootKeyId.of("other:x"), new byte[] {1});
    assertThrows(IllegalStateException.class, () -> routing.unwrap(wrapped, CONTEXT));
  }

  private static void assertUnwraps(RootKey rootKey, RootKeyId id) {
    byte[] secret = {1, 2, 3};
    try (KeyMaterial key = rootKey.unwrap(WrappedKey.of(id, secret), CONTEXT)) {
      assertArrayEquals(secret, key.use(byte[]::clone));
    }
  }

  private static RootKeyException failure(RootKey rootKey, RootKeyId id) {
    WrappedKey wrapped = WrappedKey.of(id, new byte[] {1});
    return assertThrows(RootKeyException.class, () -> rootKey.unwrap(wrapped, CONTEXT));
  }
}
