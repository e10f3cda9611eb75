package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.keyset.Keysets;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.KeysetModel.Verb;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** That the check of a history notices what it is there for. */
final class KeysetHistoryTest {
  // Revision 2 rotates, 3 disables version 1, 4 enables it again; each takes 10 and pauses for 10.
  private static final OperatorCall ROTATED = call(Verb.ROTATE, 0, 10, 20, 2, "2<1:EE");
  private static final OperatorCall DISABLED = call(Verb.DISABLE, 1, 30, 40, 3, "2<1:DE");
  private static final OperatorCall ENABLED = call(Verb.ENABLE, 1, 50, 60, 4, "2<1:EE");
  private static final KeysetModel END = new KeysetModel(2, 1, "EE");

  @TempDir private Path directory;

  private static OperatorCall call(
      Verb verb, int version, long started, long ended, long revision, String states) {
    return new OperatorCall("orders", verb, version, started, ended, revision, states);
  }

  private static OperatorCall look(long started, long ended, long revision, String states) {
    return call(Verb.GET, 0, started, ended, revision, states);
  }

  private static OperatorCall refused(Verb verb, int version, long started, long ended) {
    return call(verb, version, started, ended, 0, OperatorCall.REFUSED);
  }

  private static void check(OperatorCall... more) {
    KeysetHistory.check(
        Stream.concat(Stream.of(ENABLED, ROTATED, DISABLED), Stream.of(more)).toList(), 4, END);
  }

  private static void assertFound(String problem, Runnable check) {
    AssertionError found = assertThrows(AssertionError.class, check::run);
    assertTrue(found.getMessage().contains(problem), found::getMessage);
  }

  @Test
  void aRightHistory_passes() {
    check(
        look(0, 5, 1, "1<0:E"),
        look(12, 35, 2, "2<1:EE"),
        look(12, 35, 3, "2<1:DE"),
        refused(Verb.DISABLE, 1, 38, 39),
        refused(Verb.ENABLE, 1, 41, 51));
  }

  @Test
  void aLostUpdate_isFound() {
    assertFound("is lost", () -> check(call(Verb.PUBLISH, 0, 32, 38, 3, "2<1:EEP")));
  }

  @Test
  void aGap_isFound() {
    List<OperatorCall> calls = List.of(ROTATED, ENABLED);
    assertFound("each makes a revision", () -> KeysetHistory.check(calls, 4, END));
    List<OperatorCall> shifted = List.of(ROTATED, DISABLED, call(Verb.ENABLE, 1, 50, 60, 5, ""));
    assertFound("nobody has written revision 4", () -> KeysetHistory.check(shifted, 4, END));
  }

  @Test
  void aVerbThatDidSomethingElse_isFound() {
    List<OperatorCall> calls =
        List.of(ROTATED, call(Verb.DISABLE, 1, 30, 40, 3, "2<1:CE"), ENABLED);
    assertFound("DISABLE", () -> KeysetHistory.check(calls, 4, END));
  }

  @Test
  void aVerbThatWasNotAllowed_isFound() {
    List<OperatorCall> calls = List.of(ROTATED, call(Verb.ENABLE, 1, 30, 40, 3, "2<1:EE"));
    assertFound("does not allow", () -> KeysetHistory.check(calls, 3, END));
  }

  @Test
  void anotherEnd_isFound() {
    List<OperatorCall> calls = List.of(ROTATED, DISABLED);
    assertFound("stored in the end", () -> KeysetHistory.check(calls, 3, END));
  }

  @Test
  void aStaleLook_isFound() {
    assertFound("shows less than", () -> check(look(41, 45, 2, "2<1:EE")));
    // Nobody had written more, but somebody had seen more.
    assertFound(
        "shows less than", () -> check(look(31, 32, 3, "2<1:DE"), look(33, 34, 2, "2<1:EE")));
  }

  @Test
  void aLookIntoTheFuture_isFound() {
    assertFound("not there yet", () -> check(look(41, 45, 4, "2<1:EE")));
  }

  @Test
  void aLookAtSomethingElse_isFound() {
    assertFound("GET", () -> check(look(41, 45, 3, "2<1:EE")));
  }

  @Test
  void aWriteBeforeItsTime_isFound() {
    OperatorCall late = call(Verb.ROTATE, 0, 45, 48, 2, "2<1:EE");
    assertFound(
        "began after revision 3",
        () -> KeysetHistory.check(List.of(late, DISABLED, ENABLED), 4, END));
  }

  @Test
  void aRefusalWithoutReason_isFound() {
    assertFound("refuses this", () -> check(refused(Verb.ENABLE, 1, 41, 50)));
    assertFound("refuses this", () -> check(refused(Verb.DISABLE, 1, 61, 62)));
  }

  @Test
  void model_saysWhatTheLibraryDoes() {
    KeyMaterial sealingKey = KeyMaterial.copyOf(new byte[32]);
    InMemoryKeysetStore store = InMemoryKeysetStore.create();
    try (Kms kms =
        Kms.builder()
            .rootKey(LocalRootKey.create(directory.resolve("root.key"), sealingKey))
            .store(store)
            .build()) {
      Keysets keysets = kms.keysets();
      keysets.create("orders", KeysetTemplate.defaults());
      keysets.rotate("orders");
      keysets.compromise("orders", 1);
      keysets.scheduleDestruction("orders", 1);
      keysets.publish("orders");
      keysets.rotate("orders");
      Keyset keyset = keysets.disable("orders", 2);

      KeysetModel model = KeysetModel.of(keyset);
      assertEquals("4<2:cDPE", model.toString());
      String document = store.load(KeysetId.of("orders")).orElseThrow().document();
      assertEquals(model, KeysetModel.ofDocument(document));
      assertEquals("4<2:CDPE", model.after(Verb.CANCEL, 1).orElseThrow().toString());
      List<Integer> promotable = new ArrayList<>();
      for (int version = 0; version <= 5; version++) {
        if (model.after(Verb.PROMOTE, version).isPresent()) {
          promotable.add(version);
        }
      }
      assertEquals(List.of(3), promotable);
      assertTrue(model.mayRefuse(Verb.ROLLBACK, 0));
    }
  }
}
