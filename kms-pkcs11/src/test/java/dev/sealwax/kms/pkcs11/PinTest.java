package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A PIN too many locks a token for good, so each login that is tried or not tried counts. */
final class PinTest extends FakeTokenTest {
  @Test
  void aWrongPin_isTriedOnceInThisProcess() {
    create().close();
    config = config.withPin("wrong-pin"::toCharArray);
    int before = module.calls(CkFunction.C_Login);
    RootKeyException failure = assertFails(ACCESS_DENIED, this::open);
    assertFalse(failure.getMessage().contains("wrong-pin"));
    for (int i = 0; i < 10; i++) {
      assertFails(ACCESS_DENIED, this::open);
    }
    assertEquals(before + 1, module.calls(CkFunction.C_Login));
    Pkcs11Token.forgetRefusedPins();
    assertFails(ACCESS_DENIED, this::open);
    assertEquals(before + 2, module.calls(CkFunction.C_Login));
  }

  @Test
  void anotherPin_isTriedAfterAWrongOne() {
    create().close();
    Pkcs11Config right = config;
    config = right.withPin("wrong-pin"::toCharArray);
    assertFails(ACCESS_DENIED, this::open);
    config = right;
    open().close();
  }

  @Test
  void aPinChangedMeanwhile_isRefusedOnceAndMendedByTheSource() throws IOException {
    Path file = Files.writeString(directory.resolve("pin"), FakeModule.PIN + "\n");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    config = config.withPin(PinSource.file(file));
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      Files.writeString(file, "4321");
      module.closeAllSessions();
      int before = module.calls(CkFunction.C_Login);
      assertFails(ACCESS_DENIED, () -> assertOpens(rootKey, wrapped));
      assertFails(ACCESS_DENIED, () -> assertOpens(rootKey, wrapped));
      assertEquals(before + 1, module.calls(CkFunction.C_Login));
      assertEquals(PinState.REFUSED, rootKey.health().pin());
      Files.writeString(file, FakeModule.PIN);
      assertOpens(rootKey, wrapped);
      assertEquals(PinState.ACCEPTED, rootKey.health().pin());
    }
  }

  /** Its providers are where the application that opened the token is, whoever uses it later. */
  @Test
  void theSource_isAskedWithTheLoaderOfWhoOpenedTheToken() {
    Thread current = Thread.currentThread();
    ClassLoader before = current.getContextClassLoader();
    ClassLoader opener = new ClassLoader() {};
    List<ClassLoader> asked = new CopyOnWriteArrayList<>();
    config =
        config.withPin(
            () -> {
              asked.add(Thread.currentThread().getContextClassLoader());
              return FakeModule.PIN.toCharArray();
            });
    current.setContextClassLoader(opener);
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      current.setContextClassLoader(before);
      module.closeAllSessions();
      int logins = asked.size();
      assertOpens(rootKey, wrapped);
      assertTrue(asked.size() > logins, "never asked again");
      assertEquals(Set.of(opener), Set.copyOf(asked));
    } finally {
      current.setContextClassLoader(before);
    }
  }

  @Test
  void aLockedToken_isNotTried() {
    create().close();
    module.tokenFlags |= Ck.CKF_USER_PIN_LOCKED;
    int before = module.calls(CkFunction.C_Login);
    RootKeyException failure = assertFails(ACCESS_DENIED, this::open);
    assertEquals(true, failure.getMessage().contains("locked"));
    assertEquals(before, module.calls(CkFunction.C_Login));
  }

  @Test
  void aTokenThatLocksMeanwhile_saysSo() {
    config = config.withBackOff(Duration.ofHours(1), Duration.ofHours(1));
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.closeAllSessions();
      module.failing(CkFunction.C_Login, ReturnCode.CKR_PIN_LOCKED.code());
      int before = module.calls(CkFunction.C_Login);
      assertFails(ACCESS_DENIED, () -> assertOpens(rootKey, wrapped));
      assertFails(ACCESS_DENIED, () -> assertOpens(rootKey, wrapped));
      assertEquals(before + 1, module.calls(CkFunction.C_Login));
      assertEquals(PinState.LOCKED, rootKey.health().pin());
    }
  }

  @Test
  void theFinalTry_isLeftToOthersUnlessAccepted() {
    create().close();
    module.tokenFlags |= Ck.CKF_USER_PIN_COUNT_LOW | Ck.CKF_USER_PIN_FINAL_TRY;
    int before = module.calls(CkFunction.C_Login);
    assertFails(ACCESS_DENIED, this::open);
    assertEquals(before, module.calls(CkFunction.C_Login));
    config = config.accepting(Concession.FINAL_PIN_TRY);
    open().close();
  }

  @Test
  void failuresOfOthers_areReported() {
    create().close();
    module.tokenFlags |= Ck.CKF_USER_PIN_COUNT_LOW;
    try (Pkcs11RootKey rootKey = open()) {
      assertEquals(PinState.ACCEPTED_AFTER_FAILURES, rootKey.health().pin());
    }
  }

  /** Some tokens have a code of their own for a wrong PIN; three of those lock them. */
  @ParameterizedTest
  @ValueSource(longs = {0x80000123L, 0x5, 0x6})
  void aPinThatMayHaveBeenRefused_isTriedTwice(long code) {
    create().close();
    int before = module.calls(CkFunction.C_Login);
    module.failing(CkFunction.C_Login, code);
    long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    RootKeyException failure;
    do {
      failure = assertThrows(RootKeyException.class, this::open);
    } while (!failure.getMessage().contains("give another") && System.nanoTime() < end);
    assertEquals(ACCESS_DENIED, failure.reason(), failure::getMessage);
    assertEquals(before + 2, module.calls(CkFunction.C_Login));
    module.heal();
    assertFails(ACCESS_DENIED, this::open);
    Pkcs11Token.forgetRefusedPins();
    open().close();
  }

  @ParameterizedTest
  @ValueSource(longs = {Ck.CKF_USER_PIN_COUNT_LOW, Ck.CKF_USER_PIN_FINAL_TRY})
  void aPinTheTokenCounted_isTriedOnce(long flag) {
    create().close();
    int before = module.calls(CkFunction.C_Login);
    module.failing(CkFunction.C_Login, ReturnCode.CKR_DEVICE_ERROR.code());
    module.flagsOfAFailedLogin = flag;
    assertFails(ACCESS_DENIED, this::open);
    config = config.accepting(Concession.FINAL_PIN_TRY);
    for (int i = 0; i < 3; i++) {
      assertFails(ACCESS_DENIED, this::open);
    }
    assertEquals(before + 1, module.calls(CkFunction.C_Login));
  }

  @Test
  void aPinThatWasAccepted_staysSoWhileOthersAreLoggedIn() {
    try (Pkcs11RootKey first = create();
        Pkcs11RootKey second = open()) {
      WrappedKey wrapped = wrap(first);
      module.endNewestSession();
      assertOpens(second, wrapped);
      failOnce(CkFunction.C_DecryptInit, ReturnCode.CKR_SESSION_HANDLE_INVALID);
      assertOpens(first, wrapped);
      assertEquals(2, first.health().logins());
      assertEquals(PinState.ACCEPTED, first.health().pin());
    }
  }

  @Test
  void thePin_isWipedAfterUse() {
    List<char[]> given = new ArrayList<>();
    config =
        config.withPin(
            () -> {
              char[] pin = FakeModule.PIN.toCharArray();
              given.add(pin);
              return pin;
            });
    create().close();
    assertFalse(given.isEmpty());
    for (char[] pin : given) {
      assertArrayEquals(new char[FakeModule.PIN.length()], pin);
    }
  }

  @Test
  void aTokenWithAKeypad_isAskedWithoutPin() {
    config = Pkcs11Config.of(config.module(), "pkcs11:token=fake;object=root");
    assertFails(ACCESS_DENIED, this::open);
    module.tokenFlags |= Ck.CKF_PROTECTED_AUTHENTICATION_PATH;
    create().close();
  }

  @Test
  void aPinThatIsNoText_isRefused() {
    config = config.withPin(() -> new char[] {'1', '\ud800', '2'});
    int before = module.calls(CkFunction.C_Login);
    assertFails(ACCESS_DENIED, this::open);
    assertEquals(before, module.calls(CkFunction.C_Login));
  }

  @Test
  void aPinFileThatEverybodyMayRead_isRefused() throws IOException {
    Path file = Files.writeString(directory.resolve("pin"), "1234");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
    PinSource source = PinSource.file(file);
    assertFails(ACCESS_DENIED, source::pin);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
    assertArrayEquals("1234".toCharArray(), source.pin());
  }

  @Test
  void aPinFile_isReadAsTextWithoutItsLineBreak() throws IOException {
    Path file = directory.resolve("pin");
    Files.createFile(
        file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    PinSource source = PinSource.file(file);
    assertFails(ACCESS_DENIED, source::pin);
    Files.writeString(file, "gr\u00fcn 1\r\n");
    assertArrayEquals("gr\u00fcn 1".toCharArray(), source.pin());
    Files.writeString(file, "1\n\n");
    assertArrayEquals("1\n".toCharArray(), source.pin());
    Files.write(file, new byte[] {(byte) 0xff});
    assertFails(ACCESS_DENIED, source::pin);
    Files.write(file, new byte[2000]);
    assertFails(ACCESS_DENIED, source::pin);
    Files.delete(file);
    assertFails(ACCESS_DENIED, source::pin);
  }

  @Test
  void anEnvironmentVariable_givesThePinOrNothing() {
    PinSource set = PinFile.ofEnvironment("TOKEN_PIN", name -> name + "-value");
    assertArrayEquals("TOKEN_PIN-value".toCharArray(), set.pin());
    PinSource unset = PinSource.environment("SEALWAX_TEST_VARIABLE_THAT_IS_NOT_SET");
    assertFails(ACCESS_DENIED, unset::pin);
  }
}
