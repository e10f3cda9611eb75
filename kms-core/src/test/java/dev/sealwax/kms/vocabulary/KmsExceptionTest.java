package dev.sealwax.kms.vocabulary;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class KmsExceptionTest {
  private static final KeysetId ORDERS = KeysetId.of("orders");
  private final Throwable cause = new IllegalStateException("cause");

  private List<KmsException> oneOfEach() {
    return List.of(
        new DecryptionFailedException(),
        new MalformedEnvelopeException("suite", 4, "is 9"),
        new KeyUnavailableException(
            KeyUnavailableException.Reason.DISABLED, ORDERS, 7, "enable it"),
        new KeyStateException(ORDERS, 7, "is primary"),
        new KeysetConflictException(ORDERS, "a keyset of that name exists"),
        new KeysetCorruptedException(ORDERS, "its mac does not fit", cause),
        new KeysetStoreException(KeysetStoreException.Reason.NOT_FOUND, "no keyset", cause),
        new RootKeyException(RootKeyException.Reason.THROTTLED, "slow down", cause),
        new RewrapException(RewrapException.Reason.SOURCE_UNAVAILABLE, "a table is gone", cause));
  }

  @Test
  void family_isClosed_finalAndUnchecked() {
    Set<Class<?>> permitted = Set.of(KmsException.class.getPermittedSubclasses());
    assertEquals(permitted, oneOfEach().stream().map(Object::getClass).collect(Collectors.toSet()));
    permitted.forEach(type -> assertTrue(Modifier.isFinal(type.getModifiers()), type::getName));
    assertTrue(RuntimeException.class.isAssignableFrom(KmsException.class));
  }

  @Test
  void messages_nameKeysetVersionAndReason() {
    assertEquals(
        List.of(
            "envelope is not authentic for this keyset and context; check that the context is the"
                + " one used to encrypt",
            "malformed envelope: suite at offset 4 is 9",
            "keyset orders version 7 is unavailable (DISABLED): enable it",
            "keyset orders version 7: is primary",
            "keyset orders was not written: a keyset of that name exists",
            "document of keyset orders is not trustworthy: its mac does not fit",
            "keyset store: no keyset (NOT_FOUND)",
            "root key: slow down (THROTTLED)",
            "rewrap stopped: a table is gone (SOURCE_UNAVAILABLE)"),
        oneOfEach().stream().map(Throwable::getMessage).toList());
  }

  @Test
  void causes_areKept() {
    List<Throwable> causes = oneOfEach().subList(5, 9).stream().map(Throwable::getCause).toList();
    assertEquals(List.of(cause, cause, cause, cause), causes);
  }

  @Test
  void accessors_giveWhatWasPassed() {
    KeyUnavailableException unavailable =
        new KeyUnavailableException(KeyUnavailableException.Reason.PENDING, ORDERS, 3, "promote");
    assertSame(KeyUnavailableException.Reason.PENDING, unavailable.reason());
    assertSame(ORDERS, unavailable.keyset());
    assertEquals(3, unavailable.version());
    MalformedEnvelopeException malformed = new MalformedEnvelopeException("suite", 4, "is 9");
    assertEquals("suite", malformed.field());
    assertEquals(4, malformed.offset());
    assertSame(
        RootKeyException.Reason.INTERNAL,
        new RootKeyException(RootKeyException.Reason.INTERNAL, "?").reason());
  }

  @ParameterizedTest
  @EnumSource(RootKeyException.Reason.class)
  void rootKeyReasons_onlyOutageAndThrottlingPassByThemselves(RootKeyException.Reason reason) {
    assertEquals(
        EnumSet.of(RootKeyException.Reason.THROTTLED, RootKeyException.Reason.UNAVAILABLE)
            .contains(reason),
        reason.isRetryable());
  }

  @Test
  void forAnotherCaller_givesTheSameAnswersAndNamesTheOriginal()
      throws ReflectiveOperationException {
    for (KmsException original : oneOfEach()) {
      KmsException other = original.forAnotherCaller();

      assertNotSame(original, other);
      assertSame(original.getClass(), other.getClass());
      assertSame(original, other.getCause());
      assertEquals(original.getMessage(), other.getMessage());
      assertEquals("oneOfEach", method(original));
      assertEquals("forAnotherCaller_givesTheSameAnswersAndNamesTheOriginal", method(other));
      for (Method answer : original.getClass().getDeclaredMethods()) {
        if (answer.getParameterCount() == 0 && !answer.getName().equals("forAnotherCaller")) {
          assertEquals(answer.invoke(original), answer.invoke(other), answer::getName);
        }
      }
    }
  }

  /** The first method of this test in the stack trace. */
  private static String method(KmsException thrown) {
    return Stream.of(thrown.getStackTrace())
        .filter(frame -> frame.getClassName().equals(KmsExceptionTest.class.getName()))
        .findFirst()
        .orElseThrow()
        .getMethodName();
  }

  @Test
  void event_hasAFailureIfAndOnlyIfItFailed() {
    Throwable failure = new DecryptionFailedException();
    KmsEvent done = event(KmsEvent.Outcome.SUCCESS, null);
    assertTrue(done.isSuccess());
    assertNull(done.failure());
    assertFalse(event(KmsEvent.Outcome.FAILURE, failure).isSuccess());
    assertFalse(event(KmsEvent.Outcome.ABANDONED, null).isSuccess());
    for (KmsEvent.Outcome outcome : KmsEvent.Outcome.values()) {
      Throwable wrong = outcome == KmsEvent.Outcome.FAILURE ? null : failure;
      assertThrows(IllegalArgumentException.class, () -> event(outcome, wrong));
    }
  }

  private static KmsEvent event(KmsEvent.Outcome outcome, Throwable failure) {
    return new KmsEvent(
        KmsEvent.Operation.DECRYPT,
        ORDERS,
        1,
        KmsEvent.Change.NONE,
        KmsEvent.CacheResult.HIT,
        outcome,
        5,
        Duration.ofMillis(1),
        failure);
  }
}
