package dev.sealwax.kms.events;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsEvent.Change;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import dev.sealwax.kms.vocabulary.KmsEvent.Outcome;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class AnnouncerTest {
  private static final KeysetId ORDERS = KeysetId.of("orders");

  private final List<KmsEvent> heard = new ArrayList<>();
  private final Announcer announcer = new Announcer(heard::add);

  private KmsEvent only() {
    assertEquals(1, heard.size(), () -> "heard " + heard);
    return heard.get(0);
  }

  @Test
  void reporting_success_isToldWithItsResult() {
    assertEquals("done", announcer.reporting(Operation.ROOT_WRAP, ORDERS, 3, () -> "done"));
    assertEquals(Operation.ROOT_WRAP, only().operation());
    assertEquals(Change.NONE, only().change());
    assertEquals(3, only().keyVersion());
    assertEquals(Outcome.SUCCESS, only().outcome());
  }

  @Test
  void reporting_changeThatChangedNothing_isNotTold() {
    assertEquals(
        "as it was",
        announcer.reporting(Change.PROMOTE, ORDERS, 0, () -> "as it was", () -> false));
    assertEquals(List.of(), heard);
    announcer.reporting(Change.PROMOTE, ORDERS, 0, () -> "new", () -> true);
    assertEquals(Change.PROMOTE, only().change());
  }

  @Test
  void reporting_error_isToldAndThrown() {
    Error error = new StackOverflowError("scripted");
    assertSame(
        error,
        assertThrows(
            StackOverflowError.class,
            () ->
                announcer.reporting(
                    Change.ROTATE,
                    ORDERS,
                    0,
                    () -> {
                      throw error;
                    },
                    () -> false)));
    assertEquals(Operation.KEYSET_CHANGE, only().operation());
    assertEquals(Change.ROTATE, only().change());
    assertEquals(Outcome.FAILURE, only().outcome());
    assertSame(error, only().failure());
  }

  @Test
  void reporting_errorWithinALoad_isToldWhenTheLoadIsOver() {
    Error error = new StackOverflowError("scripted");
    assertThrows(
        StackOverflowError.class,
        () ->
            Announcer.untilOver(
                () -> {
                  try {
                    return announcer.reporting(
                        Operation.ROOT_UNWRAP,
                        ORDERS,
                        1,
                        () -> {
                          throw error;
                        });
                  } finally {
                    assertTrue(heard.isEmpty());
                  }
                }));
    assertSame(error, only().failure());
  }
}
