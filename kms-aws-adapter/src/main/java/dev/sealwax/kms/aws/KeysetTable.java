package dev.sealwax.kms.aws;

import static dev.sealwax.kms.aws.KeysetItems.text;
import static software.amazon.awssdk.services.dynamodb.model.ReturnValuesOnConditionCheckFailure.ALL_OLD;

import dev.sealwax.kms.aws.KeysetItems.Change;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.awscore.AwsRequestOverrideConfiguration;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeDefinition;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.BatchWriteItemRequest;
import software.amazon.awssdk.services.dynamodb.model.BillingMode;
import software.amazon.awssdk.services.dynamodb.model.CreateTableRequest;
import software.amazon.awssdk.services.dynamodb.model.DeleteRequest;
import software.amazon.awssdk.services.dynamodb.model.Get;
import software.amazon.awssdk.services.dynamodb.model.GetItemRequest;
import software.amazon.awssdk.services.dynamodb.model.GetItemResponse;
import software.amazon.awssdk.services.dynamodb.model.ItemResponse;
import software.amazon.awssdk.services.dynamodb.model.KeySchemaElement;
import software.amazon.awssdk.services.dynamodb.model.KeyType;
import software.amazon.awssdk.services.dynamodb.model.Put;
import software.amazon.awssdk.services.dynamodb.model.QueryRequest;
import software.amazon.awssdk.services.dynamodb.model.QueryResponse;
import software.amazon.awssdk.services.dynamodb.model.ScalarAttributeType;
import software.amazon.awssdk.services.dynamodb.model.TransactGetItem;
import software.amazon.awssdk.services.dynamodb.model.TransactGetItemsRequest;
import software.amazon.awssdk.services.dynamodb.model.TransactWriteItem;
import software.amazon.awssdk.services.dynamodb.model.TransactWriteItemsRequest;
import software.amazon.awssdk.services.dynamodb.model.TransactionCanceledException;
import software.amazon.awssdk.services.dynamodb.model.WriteRequest;

/**
 * The requests that a store makes to its table, each bounded, and how long they give way to those
 * of others. Failures of a request are the SDK's, for whoever makes it to judge, but for those of
 * {@link #reading}. Safe for any thread.
 */
final class KeysetTable {
  private static final int MAX_BATCH = 25; // of DynamoDB
  private static final int PAUSE_MILLIS = 10;
  private static final int MAX_PAUSE_MILLIS = 200;

  private final DynamoDbClient client;
  private final String name;
  private final CallLimit limit;
  private final @Nullable AwsRequestOverrideConfiguration configuration;

  KeysetTable(DynamoDbClient client, String name) {
    this.client = client;
    this.name = name;
    this.limit = CallLimit.of(client.serviceClientConfiguration());
    this.configuration = limit.asConfiguration();
  }

  /** Asks for the table, which can be used some seconds later. */
  void create() {
    client.createTable(
        CreateTableRequest.builder()
            .tableName(name)
            .billingMode(BillingMode.PAY_PER_REQUEST)
            .deletionProtectionEnabled(true)
            .attributeDefinitions(attribute(KeysetItems.PARTITION), attribute(KeysetItems.SORT))
            .keySchema(
                element(KeysetItems.PARTITION, KeyType.HASH),
                element(KeysetItems.SORT, KeyType.RANGE))
            .overrideConfiguration(configuration)
            .build());
  }

  void awaitCreation() {
    try (var waiter = client.waiter()) {
      waiter.waitUntilTableExists(table -> table.tableName(name));
    }
  }

  private static AttributeDefinition attribute(String attribute) {
    return AttributeDefinition.builder()
        .attributeName(attribute)
        .attributeType(ScalarAttributeType.S)
        .build();
  }

  private static KeySchemaElement element(String attribute, KeyType type) {
    return KeySchemaElement.builder().attributeName(attribute).keyType(type).build();
  }

  /**
   * Reads an item behind every transaction that any reader has seen a part of, which a consistent
   * read does not promise.
   */
  Optional<Map<String, AttributeValue>> read(Map<String, AttributeValue> key) {
    TransactGetItem get =
        TransactGetItem.builder().get(Get.builder().tableName(name).key(key).build()).build();
    List<ItemResponse> found =
        client
            .transactGetItems(
                TransactGetItemsRequest.builder()
                    .transactItems(get)
                    .overrideConfiguration(configuration)
                    .build())
            .responses();
    return found.isEmpty() || !found.get(0).hasItem() || found.get(0).item().isEmpty()
        ? Optional.empty()
        : Optional.of(found.get(0).item());
  }

  /** The change of that number, if there is one. */
  Optional<Change> change(Change like) {
    GetItemResponse found =
        client.getItem(
            GetItemRequest.builder()
                .tableName(name)
                .key(like.key())
                .consistentRead(true)
                .overrideConfiguration(configuration)
                .build());
    return found.hasItem() && !found.item().isEmpty()
        ? Optional.ofNullable(Change.in(found.item()))
        : Optional.empty();
  }

  /** Writes all or nothing. */
  void write(List<TransactWriteItem> items) {
    client.transactWriteItems(
        TransactWriteItemsRequest.builder()
            .transactItems(items)
            .overrideConfiguration(configuration)
            .build());
  }

  TransactWriteItem put(Map<String, AttributeValue> item) {
    return TransactWriteItem.builder()
        .put(Put.builder().tableName(name).item(item).build())
        .build();
  }

  TransactWriteItem putIfAbsent(Map<String, AttributeValue> item) {
    return TransactWriteItem.builder()
        .put(
            Put.builder()
                .tableName(name)
                .item(item)
                .conditionExpression("attribute_not_exists(pk)")
                .returnValuesOnConditionCheckFailure(ALL_OLD)
                .build())
        .build();
  }

  TransactWriteItem putIfRevision(Map<String, AttributeValue> item, long revision) {
    return TransactWriteItem.builder()
        .put(
            Put.builder()
                .tableName(name)
                .item(item)
                .conditionExpression("revision = :revision")
                .returnValuesOnConditionCheckFailure(ALL_OLD)
                .expressionAttributeValues(Map.of(":revision", KeysetItems.number(revision)))
                .build())
        .build();
  }

  /**
   * The last change, or {@link Change#NONE}. Items that no store has made are passed over: most
   * sort behind every change and are not even read.
   */
  Change lastChange() {
    QueryRequest backwards =
        range(KeysetItems.CHANGES, "sk <= :sk", Change.sortKey(Change.LAST)).toBuilder()
            .scanIndexForward(false)
            .build();
    List<Change> last = query(backwards, 1, Change::in);
    return last.isEmpty() ? Change.NONE : last.get(0);
  }

  /** The changes from that number on, in their order, without items that no store has made. */
  List<Change> changesFrom(long number) {
    return query(
        range(KeysetItems.CHANGES, "sk >= :sk", Change.sortKey(number)),
        Integer.MAX_VALUE,
        Change::in);
  }

  /** Some of the changes before that number. */
  List<Change> changesBefore(long number, int most) {
    return query(range(KeysetItems.CHANGES, "sk < :sk", Change.sortKey(number)), most, Change::in);
  }

  /** The names after one, at most so many, in their order. */
  List<String> namesAfter(String after, int most) {
    QueryRequest request =
        after.isEmpty()
            ? all(KeysetItems.NAMES).build()
            : range(KeysetItems.NAMES, "sk > :sk", after);
    return query(request, most, item -> item.getOrDefault(KeysetItems.SORT, text("")).s());
  }

  private QueryRequest.Builder all(String partition) {
    return QueryRequest.builder()
        .tableName(name)
        .consistentRead(true)
        .keyConditionExpression("pk = :pk")
        .expressionAttributeValues(Map.of(":pk", text(partition)))
        .overrideConfiguration(configuration);
  }

  private QueryRequest range(String partition, String condition, String sortKey) {
    return all(partition)
        .keyConditionExpression("pk = :pk AND " + condition)
        .expressionAttributeValues(Map.of(":pk", text(partition), ":sk", text(sortKey)))
        .build();
  }

  /**
   * Asks until there are enough of those that {@code reader} can read: DynamoDB ends a page after 1
   * MB, whatever the limit.
   */
  private <T> List<T> query(
      QueryRequest request, int most, Function<Map<String, AttributeValue>, @Nullable T> reader) {
    List<T> found = new ArrayList<>();
    QueryRequest next = request;
    while (true) {
      QueryResponse page = client.query(next.toBuilder().limit(most - found.size()).build());
      for (Map<String, AttributeValue> item : page.items()) {
        T read = reader.apply(item);
        if (read != null) {
          found.add(read);
        }
      }
      if (found.size() >= most
          || !page.hasLastEvaluatedKey()
          || page.lastEvaluatedKey().isEmpty()) {
        return found;
      }
      next = request.toBuilder().exclusiveStartKey(page.lastEvaluatedKey()).build();
    }
  }

  /** Deletes changes; some may be left. */
  void delete(List<Change> changes) {
    for (int from = 0; from < changes.size(); from += MAX_BATCH) {
      List<WriteRequest> batch =
          changes.subList(from, Math.min(from + MAX_BATCH, changes.size())).stream()
              .map(change -> DeleteRequest.builder().key(change.key()).build())
              .map(delete -> WriteRequest.builder().deleteRequest(delete).build())
              .toList();
      client.batchWriteItem(
          BatchWriteItemRequest.builder()
              .requestItems(Map.of(name, batch))
              .overrideConfiguration(configuration)
              .build());
    }
  }

  /**
   * Reads, again while a transaction that is under way keeps it from reading.
   *
   * @param problem what to say if that fails
   * @throws KeysetStoreException if that fails
   */
  <T> T reading(String problem, Supplier<T> request) {
    long started = System.nanoTime();
    for (int attempt = 1; ; attempt++) {
      try {
        return request.get();
      } catch (TransactionCanceledException e) {
        if (!DynamoDbErrors.isBusy(e) || !mayTryAgain(attempt, started)) {
          throw DynamoDbErrors.cancelled(problem, e);
        }
      } catch (SdkException e) {
        throw DynamoDbErrors.translated(problem, e);
      }
    }
  }

  /**
   * Lets others go first; false if the thread is to stop, or the call may take no longer.
   *
   * @param attempt of the call, from 1 on; the later, the longer the pause
   * @param started when the call began, by {@link System#nanoTime}
   */
  boolean mayTryAgain(int attempt, long started) {
    if (System.nanoTime() - started > limit.duration().toNanos()) {
      return false;
    }
    try {
      int most = Math.min(attempt * PAUSE_MILLIS, MAX_PAUSE_MILLIS);
      Thread.sleep(ThreadLocalRandom.current().nextInt(most) + 1L);
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  @Override
  public String toString() {
    return name;
  }
}
