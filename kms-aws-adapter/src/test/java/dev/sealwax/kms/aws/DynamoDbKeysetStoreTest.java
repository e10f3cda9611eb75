package dev.sealwax.kms.aws;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.store.WatchableKeysetStore;
import dev.sealwax.kms.testkit.WatchableKeysetStoreContract;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;

/** The store on moto's DynamoDB, behind our proxy, and what comes of faults. */
final class DynamoDbKeysetStoreTest extends WatchableKeysetStoreContract {
  private static final KeysetId ORDERS = KeysetId.of("orders");
  private static final KeysetId OTHER = KeysetId.of("other");
  private static final String WRITE = "TransactWriteItems";
  private static final String READ = "TransactGetItems";

  private static AwsProxy proxy;
  private static DynamoDbClient client;
  private String table;

  @BeforeAll
  static void start() {
    proxy = AwsProxy.before(Moto.shared());
    client = Aws.dynamoDbWithoutRetries(proxy.endpoint());
  }

  @AfterAll
  static void stop() {
    client.close();
    proxy.close();
  }

  @AfterEach
  void heal() {
    proxy.heal();
  }

  @Override
  protected WatchableKeysetStore openEmptyStore() {
    table = "keysets-" + UUID.randomUUID();
    DynamoDbKeysetStore.createTable(client, table);
    return DynamoDbKeysetStore.open(client, table);
  }

  /** For each transaction moto copies the whole table. */
  @Override
  protected int writesPerThread() {
    return 5;
  }

  private WatchableKeysetStore watched() {
    return (WatchableKeysetStore) store();
  }

  private static Reason reasonOf(Runnable call) {
    KeysetStoreException failure = assertThrows(KeysetStoreException.class, call::run);
    assertFalse(String.valueOf(failure.getMessage()).contains("content"), failure::getMessage);
    return failure.reason();
  }

  @Test
  void open_withoutTable_isInaccessible() {
    assertEquals(Reason.INACCESSIBLE, reasonOf(() -> DynamoDbKeysetStore.open(client, "none")));
    assertEquals(
        Reason.INACCESSIBLE,
        reasonOf(() -> DynamoDbKeysetStore.createTable(client, table)),
        "twice");
  }

  @Test
  void createTable_whoseAnswerIsLost_hasCreatedIt() {
    proxy.next("CreateTable", AwsProxy.answerLost());
    String other = "keysets-" + UUID.randomUUID();
    try (DynamoDbClient retrying = Aws.dynamoDb(proxy.endpoint())) {
      DynamoDbKeysetStore.createTable(retrying, other);
      DynamoDbKeysetStore.open(retrying, other).close();
    }
  }

  @Test
  void documentTooLargeForAnItem_isRefusedBeforeTheCall() {
    assertEquals(DynamoDbKeysetStore.MAX_DOCUMENT_CHARS, store().maxDocumentChars());
    store().create(keyset(ORDERS, 1, ""));
    long before = proxy.calls(WRITE);
    StoredKeyset large = keyset(ORDERS, 2, "x".repeat(DynamoDbKeysetStore.MAX_DOCUMENT_CHARS));
    KeysetStoreException refusal =
        assertThrows(KeysetStoreException.class, () -> store().replace(large));
    assertEquals(Reason.INACCESSIBLE, refusal.reason());
    assertTrue(String.valueOf(refusal.getMessage()).contains("400000"), refusal::getMessage);
    assertEquals(before, proxy.calls(WRITE));
    assertEquals(1, store().load(ORDERS).orElseThrow().revision());
  }

  @Test
  void list_readsNoDocuments_andGoesOnAfterShortPages() {
    for (String name : List.of("a", "b", "c")) {
      store().create(keyset(KeysetId.of(name), 1, ""));
    }
    // DynamoDB ends a page where it likes.
    proxy.next(
        "Query",
        AwsProxy.altering(
            request -> request.replaceAll("\"Limit\":\\d+", "\"Limit\":1"), answer -> answer));
    assertEquals(List.of(KeysetId.of("a"), KeysetId.of("b"), KeysetId.of("c")), store().list(10));
    proxy.always(
        "Query",
        AwsProxy.altering(
            answer -> {
              assertFalse(answer.contains("revision"), answer);
              return answer;
            }));
    assertEquals(List.of(KeysetId.of("c")), store().listAfter(KeysetId.of("b"), 10));
  }

  @ParameterizedTest
  @CsvSource({
    "ResourceNotFoundException, 400, INACCESSIBLE",
    "AccessDeniedException, 400, INACCESSIBLE",
    "UnrecognizedClientException, 400, INACCESSIBLE",
    "ExpiredTokenException, 400, INACCESSIBLE",
    "ValidationException, 400, INACCESSIBLE",
    "SomethingNew, 400, INACCESSIBLE",
    "ProvisionedThroughputExceededException, 400, UNAVAILABLE",
    "ThrottlingException, 400, UNAVAILABLE",
    "RequestLimitExceeded, 400, UNAVAILABLE",
    "InternalServerError, 500, UNAVAILABLE",
    "SomethingNew, 503, UNAVAILABLE"
  })
  void code_becomesItsReason(String code, int status, Reason reason) {
    proxy.next(READ, AwsProxy.error(status, code, "content"));
    assertEquals(reason, reasonOf(() -> store().load(ORDERS)));
    proxy.next("Query", AwsProxy.error(status, code, "content"));
    assertEquals(reason, reasonOf(() -> store().list(1)));
    proxy.next(WRITE, AwsProxy.error(status, code, "content"));
    assertEquals(reason, reasonOf(() -> store().create(keyset(ORDERS, 1, ""))));
    assertEquals(Optional.empty(), store().load(ORDERS));
  }

  @Test
  void readWithoutAnAnswer_isUnavailable() {
    for (AwsProxy.Fault fault :
        List.of(AwsProxy.reset(), AwsProxy.truncated(), AwsProxy.page(200, "<html>"))) {
      proxy.next(READ, fault);
      assertEquals(Reason.UNAVAILABLE, reasonOf(() -> store().load(ORDERS)));
    }
  }

  @Test
  void writeWhoseAnswerIsLost_tookEffect() {
    for (AwsProxy.Fault fault : List.of(AwsProxy.answerLost(), AwsProxy.truncated())) {
      KeysetId id = KeysetId.of("k" + proxy.calls(WRITE));
      proxy.next(WRITE, fault);
      store().create(keyset(id, 1, ""));
      assertEquals(1, store().load(id).orElseThrow().revision());
    }
  }

  @Test
  void writeThatIsRepeatedByTheSdk_isNoConflictWithItself() {
    try (DynamoDbClient persistent = Aws.dynamoDb(proxy.endpoint());
        DynamoDbKeysetStore other = DynamoDbKeysetStore.open(persistent, table)) {
      proxy.next(WRITE, AwsProxy.answerLost());
      other.create(keyset(ORDERS, 1, "a"));
      proxy.next(WRITE, AwsProxy.answerLost());
      other.replace(keyset(ORDERS, 2, "b"));
      assertEquals(2, other.load(ORDERS).orElseThrow().revision());
    }
  }

  /**
   * The repeated attempt is refused, and not only because of the first: another wrote behind it.
   */
  @Test
  void writeThatIsRepeatedBehindAnother_tookEffectAllTheSame() {
    store().create(keyset(ORDERS, 1, "a"));
    try (DynamoDbClient persistent = Aws.dynamoDb(proxy.endpoint());
        DynamoDbKeysetStore other = DynamoDbKeysetStore.open(persistent, table)) {
      proxy.next(
          WRITE,
          (proxy, exchange, target, request) -> {
            proxy.forward(exchange, target, request);
            store().replace(keyset(ORDERS, 3, "theirs"));
            exchange.close();
          },
          passedOn(),
          withoutToken());
      other.replace(keyset(ORDERS, 2, "mine"));
      assertEquals(3, other.load(ORDERS).orElseThrow().revision());
    }
  }

  /** What cannot be looked up is unknown, and no conflict. */
  @Test
  void writeThatIsRepeatedByTheSdk_andCannotBeLookedUp_isUnavailable() {
    store().create(keyset(ORDERS, 1, "a"));
    try (DynamoDbClient persistent = Aws.dynamoDb(proxy.endpoint());
        DynamoDbKeysetStore other = DynamoDbKeysetStore.open(persistent, table)) {
      proxy.next(WRITE, AwsProxy.answerLost(), withoutToken());
      proxy.always("GetItem", AwsProxy.error(400, "AccessDeniedException"));
      KeysetStoreException failure =
          assertThrows(
              KeysetStoreException.class, () -> other.replace(keyset(ORDERS, 2, "content")));
      assertTrue(
          String.valueOf(failure.getMessage()).contains("load it again"), failure::getMessage);
      assertEquals(2, store().load(ORDERS).orElseThrow().revision());
    }
  }

  /** What an earlier attempt may do yet is not known to have failed, whatever is refused later. */
  @Test
  void writeThatMayBeUnderWay_andIsRefusedLater_isUnavailable() {
    store().create(keyset(ORDERS, 1, "a"));
    try (DynamoDbClient persistent = Aws.dynamoDb(proxy.endpoint());
        DynamoDbKeysetStore other = DynamoDbKeysetStore.open(persistent, table)) {
      proxy.next(
          WRITE,
          AwsProxy.reset(),
          (proxy, exchange, target, request) -> {
            proxy.always("Query", AwsProxy.error(400, "AccessDeniedException"));
            AwsProxy.page(
                    400,
                    "{\"__type\":\"TransactionCanceledException\",\"CancellationReasons\":"
                        + "[{\"Code\":\"TransactionConflict\"}]}")
                .meet(proxy, exchange, target, request);
          });
      KeysetStoreException failure =
          assertThrows(
              KeysetStoreException.class, () -> other.replace(keyset(ORDERS, 2, "content")));
      assertEquals(Reason.UNAVAILABLE, failure.reason());
      assertTrue(
          String.valueOf(failure.getMessage()).contains("load it again"), failure::getMessage);
    }
  }

  /** The first attempt is still on its way when the second is refused and looked up. */
  @Test
  void writeThatTakesEffectAfterItWasLookedFor_isNoConflictWithItself() {
    store().create(keyset(ORDERS, 1, "a"));
    try (DynamoDbClient persistent = Aws.dynamoDb(proxy.endpoint());
        DynamoDbKeysetStore other = DynamoDbKeysetStore.open(persistent, table)) {
      AtomicReference<byte[]> onItsWay = new AtomicReference<>();
      proxy.next(
          WRITE,
          (proxy, exchange, target, request) -> {
            onItsWay.set(request);
            exchange.close();
          },
          AwsProxy.page(
              400,
              "{\"__type\":\"TransactionCanceledException\",\"CancellationReasons\":"
                  + "[{\"Code\":\"TransactionConflict\"}]}"),
          (proxy, exchange, target, request) -> {
            proxy.forward(exchange, target, onItsWay.get());
            AwsProxy.altering(answer -> answer).meet(proxy, exchange, target, request);
          });
      other.replace(keyset(ORDERS, 2, "mine"));
      assertEquals(2, other.load(ORDERS).orElseThrow().revision());
    }
  }

  private static AwsProxy.Fault passedOn() {
    return AwsProxy.altering(answer -> answer);
  }

  /** Passed on as if DynamoDB had forgotten the first attempt, which it does after a while. */
  private static AwsProxy.Fault withoutToken() {
    return AwsProxy.altering(
        request -> request.replaceAll("\"ClientRequestToken\":\"[^\"]*\",?", ""), answer -> answer);
  }

  @Test
  void writeThatDoesNotArrive_isUnavailable_andChangesNothing() {
    proxy.next(WRITE, AwsProxy.reset());
    KeysetStoreException failure =
        assertThrows(
            KeysetStoreException.class, () -> store().create(keyset(ORDERS, 1, "content")));
    assertEquals(Reason.UNAVAILABLE, failure.reason());
    assertTrue(String.valueOf(failure.getMessage()).contains("load it again"), failure::getMessage);
    assertEquals(Optional.empty(), store().load(ORDERS));
    store().create(keyset(ORDERS, 1, ""));
  }

  @Test
  void writeWhosePlaceIsTaken_isWrittenBehind() {
    WatchableKeysetStore.Position before = watched().position();
    // Another write gets in between the look at the changes and the write.
    proxy.next(
        WRITE,
        (proxy, exchange, target, request) -> {
          DynamoDbKeysetStore.open(client, table).create(keyset(OTHER, 1, ""));
          AwsProxy.altering(answer -> answer).meet(proxy, exchange, target, request);
        });
    store().create(keyset(ORDERS, 1, ""));
    assertEquals(Set.of(ORDERS, OTHER), watched().changesAfter(before).written());
    assertEquals("2", watched().position().value().split(":", -1)[0]);
  }

  @Test
  void lostWriteWhosePlaceIsTaken_isTriedAgain() {
    proxy.next(
        WRITE,
        (proxy, exchange, target, request) -> {
          DynamoDbKeysetStore.open(client, table).create(keyset(OTHER, 1, ""));
          exchange.close();
        });
    store().create(keyset(ORDERS, 1, "mine"));
    assertEquals(1, store().load(ORDERS).orElseThrow().revision());
    proxy.next(
        WRITE,
        (proxy, exchange, target, request) -> {
          DynamoDbKeysetStore.open(client, table).replace(keyset(ORDERS, 2, "theirs"));
          exchange.close();
        });
    assertThrows(KeysetConflictException.class, () -> store().replace(keyset(ORDERS, 2, "mine")));
    assertTrue(store().load(ORDERS).orElseThrow().document().contains("theirs"));
  }

  @Test
  void transactionInTheWay_isWaitedFor() {
    store().create(keyset(ORDERS, 1, ""));
    String busy =
        "{\"__type\":\"TransactionCanceledException\",\"CancellationReasons\":"
            + "[{\"Code\":\"TransactionConflict\"}]}";
    proxy.next(READ, AwsProxy.page(400, busy), AwsProxy.page(400, busy));
    assertEquals(1, store().load(ORDERS).orElseThrow().revision());
    proxy.next(WRITE, AwsProxy.page(400, busy.replace("[{", "[{\"Code\":\"None\"},{")));
    store().replace(keyset(ORDERS, 2, ""));
    String throttled = busy.replace("TransactionConflict", "ThrottlingError");
    proxy.next(WRITE, AwsProxy.page(400, throttled));
    assertEquals(Reason.UNAVAILABLE, reasonOf(() -> store().replace(keyset(ORDERS, 3, ""))));
    String invalid = busy.replace("TransactionConflict", "ValidationError");
    proxy.next(WRITE, AwsProxy.page(400, invalid));
    assertEquals(Reason.INACCESSIBLE, reasonOf(() -> store().replace(keyset(ORDERS, 3, ""))));
  }

  @Test
  void close_whileAWriteGivesWayToAnother_letsItFinish() {
    store().create(keyset(ORDERS, 1, ""));
    DynamoDbKeysetStore other = DynamoDbKeysetStore.open(client, table);
    proxy.next(
        WRITE,
        (proxy, exchange, target, request) -> {
          other.close();
          proxy.send(
              exchange,
              400,
              "{\"__type\":\"TransactionCanceledException\",\"CancellationReasons\":"
                  + "[{\"Code\":\"TransactionConflict\"}]}");
        });
    other.replace(keyset(ORDERS, 2, ""));
    assertEquals(2, store().load(ORDERS).orElseThrow().revision());
    assertThrows(IllegalStateException.class, () -> other.replace(keyset(ORDERS, 3, "")));
  }

  @Test
  void oldChanges_areForgotten() {
    try (DynamoDbKeysetStore small = DynamoDbKeysetStore.open(client, table, 10)) {
      small.create(keyset(ORDERS, 1, ""));
      WatchableKeysetStore.Position early = small.position();
      for (int revision = 2; revision < 95; revision++) {
        small.replace(keyset(ORDERS, revision, ""));
      }
      WatchableKeysetStore.Position late = small.position();
      for (int revision = 95; revision <= 101; revision++) {
        small.replace(keyset(ORDERS, revision, ""));
      }
      assertFalse(small.changesAfter(early).complete());
      assertFalse(
          small.changesAfter(new WatchableKeysetStore.Position("none")).complete(), "beginning");
      WatchableKeysetStore.Changes changes = small.changesAfter(late);
      assertTrue(changes.complete());
      assertEquals(Set.of(ORDERS), changes.written());
    }
  }

  /** What the store logs meanwhile. */
  private static List<String> warningsOf(Runnable writes) {
    ByteArrayOutputStream log = new ByteArrayOutputStream();
    PrintStream before = System.err;
    System.setErr(new PrintStream(log, true, StandardCharsets.UTF_8));
    try {
      writes.run();
    } finally {
      System.setErr(before);
    }
    return log.toString(StandardCharsets.UTF_8)
        .lines()
        .filter(line -> line.contains(DynamoDbKeysetStore.class.getName()))
        .toList();
  }

  /** Makes the next change one at which old ones are deleted. */
  private void writeAtChange(int number, DynamoDbKeysetStore store, int revision) {
    put(
        "change",
        String.format("%019d", number - 1),
        Map.of("token", AttributeValue.fromS("by hand")));
    store.replace(keyset(ORDERS, revision, ""));
  }

  private long oldestChange() {
    return client
        .query(
            q ->
                q.tableName(table)
                    .keyConditionExpression("pk = :pk")
                    .expressionAttributeValues(Map.of(":pk", AttributeValue.fromS("change")))
                    .limit(1))
        .items()
        .stream()
        .mapToLong(item -> Long.parseLong(item.get("sk").s()))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void deletionOfOldChanges_thatIsDenied_isSaidOnceAndFailsNoWrite() {
    long before = proxy.calls("BatchWriteItem");
    try (DynamoDbKeysetStore small = DynamoDbKeysetStore.open(client, table, 10)) {
      small.create(keyset(ORDERS, 1, ""));
      proxy.always("BatchWriteItem", AwsProxy.error(500, "InternalServerError"));
      assertEquals(List.of(), warningsOf(() -> writeAtChange(100, small, 2)), "passes by itself");
      proxy.always("BatchWriteItem", AwsProxy.error(400, "AccessDeniedException", "not to bob"));
      List<String> warnings = warningsOf(() -> writeAtChange(200, small, 3));
      assertEquals(1, warnings.size(), warnings::toString);
      for (String part : List.of("WARN", table, "dynamodb:BatchWriteItem", "DeleteItem", "bob")) {
        assertTrue(warnings.get(0).contains(part), warnings::toString);
      }
      assertEquals(List.of(), warningsOf(() -> writeAtChange(300, small, 4)), "said already");
      assertEquals(before + 3, proxy.calls("BatchWriteItem"));
      assertEquals(4, small.load(ORDERS).orElseThrow().revision());
      assertEquals(1, oldestChange());
      proxy.heal();
      writeAtChange(400, small, 5);
      assertEquals(399, oldestChange(), "deleted when that is allowed");
    }
  }

  @Test
  void itemsMadeByHand_areCorruptedOrIncomplete() {
    put("keyset#orders", "document", Map.of("revision", AttributeValue.fromN("1")));
    assertThrows(KeysetCorruptedException.class, () -> store().load(ORDERS));
    put(
        "keyset#orders",
        "document",
        Map.of("revision", AttributeValue.fromN("0"), "document", AttributeValue.fromS("{}")));
    assertThrows(KeysetCorruptedException.class, () -> store().load(ORDERS));
    WatchableKeysetStore.Position before = watched().position();
    put("change", "0000000000000000007", Map.of("token", AttributeValue.fromS("x")));
    assertFalse(watched().changesAfter(before).complete());
    put("name", "NO NAME", Map.of());
    assertEquals(Reason.INACCESSIBLE, reasonOf(() -> store().list(10)));
  }

  /** Such a change sorts behind every one that a store makes, or before, or in between. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "~",
        "!",
        "9223372036854775807",
        "9999999999999999999",
        "1000000000000000000",
        "0000000000000000000",
        "-000000000000000001",
        "0000000000000000001x",
        "099",
        "+000000000000000009"
      })
  void changeMadeByHand_stopsNobody(String place) {
    store().create(keyset(ORDERS, 1, ""));
    WatchableKeysetStore.Position before = watched().position();
    put("change", place, Map.of("token", AttributeValue.fromS("x")));
    for (int revision = 2; revision < 5; revision++) {
      store().replace(keyset(ORDERS, revision, ""));
    }
    WatchableKeysetStore.Changes changes = watched().changesAfter(before);
    assertTrue(changes.complete());
    assertEquals(Set.of(ORDERS), changes.written());
    assertEquals(watched().position(), changes.position());
    assertEquals("4", changes.position().value().split(":", -1)[0]);
    assertFalse(watched().changesAfter(new WatchableKeysetStore.Position(place + ":x")).complete());
  }

  @Test
  void changeMadeByHandAtTheEndOfTheOrder_isNamed() {
    store().create(keyset(ORDERS, 1, ""));
    put("change", "0999999999999999999", Map.of("token", AttributeValue.fromS("x")));
    KeysetStoreException failure =
        assertThrows(KeysetStoreException.class, () -> store().replace(keyset(ORDERS, 2, "")));
    assertEquals(Reason.INACCESSIBLE, failure.reason());
    assertTrue(
        String.valueOf(failure.getMessage()).contains("0999999999999999999"), failure::getMessage);
    assertEquals(1, store().load(ORDERS).orElseThrow().revision());
  }

  private void put(String partition, String sort, Map<String, AttributeValue> rest) {
    Map<String, AttributeValue> item = new HashMap<>(rest);
    item.put("pk", AttributeValue.fromS(partition));
    item.put("sk", AttributeValue.fromS(sort));
    client.putItem(p -> p.tableName(table).item(item));
  }
}
