package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Platform;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

final class ConfigTest {
  private static final Path MODULE = Path.of("/usr/lib/module.so");
  private static final Pkcs11Config CONFIG = Pkcs11Config.of(MODULE, "pkcs11:token=kms");

  @Test
  void of_whatCannotBeMeant_isRefused() {
    assertIllegal(() -> Pkcs11Config.of(Path.of("module.so"), "pkcs11:token=kms"));
    assertIllegal(() -> Pkcs11Config.of(MODULE, "pkcs11:object=root"));
    assertIllegal(() -> Pkcs11Config.of(MODULE, "pkcs11:token=kms?pin-value=1"));
    assertIllegal(() -> CONFIG.withMaxSessions(0));
    assertIllegal(() -> CONFIG.withMaxSessions(257));
    assertIllegal(() -> CONFIG.withCallTimeout(Duration.ZERO));
    assertIllegal(() -> CONFIG.withBackOff(Duration.ZERO, Duration.ofSeconds(1)));
    assertIllegal(() -> CONFIG.withBackOff(Duration.ofSeconds(2), Duration.ofSeconds(1)));
  }

  private static void assertIllegal(Executable call) {
    assertThrows(IllegalArgumentException.class, call);
  }

  @Test
  void with_returnsAChangedCopy() {
    Pkcs11Config changed =
        CONFIG
            .withMaxSessions(9)
            .withCallTimeout(Duration.ofSeconds(3))
            .withBackOff(Duration.ofMillis(7), Duration.ofMillis(8))
            .withMechanism(WrapMechanism.AES_KW)
            .withModuleArguments("arguments")
            .accepting(Concession.OAEP_SHA1)
            .accepting(Concession.EXTRACTABLE_KEYS);
    assertEquals(9, changed.maxSessions());
    assertEquals(Duration.ofSeconds(3), changed.callTimeout());
    assertEquals(Duration.ofMillis(7), changed.firstBackOff());
    assertEquals(Duration.ofMillis(8), changed.longestBackOff());
    assertEquals(WrapMechanism.AES_KW, changed.mechanism());
    assertEquals("arguments", changed.moduleArguments());
    assertTrue(changed.accepts(Concession.OAEP_SHA1));
    assertTrue(changed.accepts(Concession.EXTRACTABLE_KEYS));
    assertFalse(changed.accepts(Concession.SHARED_MODULE));
    assertEquals(4, CONFIG.maxSessions());
    assertFalse(CONFIG.accepts(Concession.OAEP_SHA1));
  }

  @Test
  void toString_showsNoPinAndNoArguments() {
    Pkcs11Config secret =
        CONFIG.withModuleArguments("configdir=/s3cret").withPin("s3cret"::toCharArray);
    assertFalse(secret.toString().contains("s3cret"));
  }

  @Test
  void nulls_areRefusedByName() {
    assertNull("module", () -> Pkcs11Config.of(absent(), "pkcs11:token=kms"));
    assertNull("URI", () -> Pkcs11Config.of(MODULE, absent()));
    assertNull("PIN source", () -> CONFIG.withPin(absent()));
    assertNull("module arguments", () -> CONFIG.withModuleArguments(absent()));
    assertNull("call timeout", () -> CONFIG.withCallTimeout(absent()));
    assertNull("first back-off", () -> CONFIG.withBackOff(absent(), Duration.ofSeconds(1)));
    assertNull("longest back-off", () -> CONFIG.withBackOff(Duration.ofSeconds(1), absent()));
    assertNull("mechanism", () -> CONFIG.withMechanism(absent()));
    assertNull("concession", () -> CONFIG.accepting(absent()));
    assertNull("config", () -> Pkcs11RootKey.open(absent()));
    assertNull("config", () -> Pkcs11Token.open(absent()));
    assertNull("PIN file", () -> PinSource.file(absent()));
    assertNull("environment variable", () -> PinSource.environment(absent()));
  }

  private static void assertNull(String name, Executable call) {
    assertEquals(name, assertThrows(NullPointerException.class, call).getMessage());
  }

  @SuppressWarnings({"NullAway", "TypeParameterUnusedInFormals"})
  private static <T> T absent() {
    return null;
  }

  /** Whoever initialized a token chose what is logged about it. */
  @Test
  void aTokensLabel_cannotForgeALogLine() {
    TokenInfo token = new TokenInfo(1, "a\nb", "m", "m", "1\r2", 0, 0);
    assertEquals("token 'a?b' (serial 1?2)", token.toString());
  }

  @Test
  void otherPlatforms_areRefused() {
    NativeCryptoki.requirePlatform(Platform.LINUX, 8, 8);
    NativeCryptoki.requirePlatform(Platform.MAC, 8, 8);
    for (int osType : new int[] {Platform.WINDOWS, Platform.FREEBSD, Platform.AIX}) {
      FakeTokenTest.assertFails(UNSUPPORTED, () -> NativeCryptoki.requirePlatform(osType, 8, 8));
    }
    FakeTokenTest.assertFails(
        UNSUPPORTED, () -> NativeCryptoki.requirePlatform(Platform.LINUX, 4, 4));
    FakeTokenTest.assertFails(
        UNSUPPORTED, () -> NativeCryptoki.requirePlatform(Platform.LINUX, 8, 4));
  }
}
