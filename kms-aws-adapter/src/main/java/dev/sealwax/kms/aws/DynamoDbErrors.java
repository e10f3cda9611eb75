package dev.sealwax.kms.aws;

import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.util.List;
import java.util.Set;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.exception.SdkServiceException;
import software.amazon.awssdk.services.dynamodb.model.TransactionCanceledException;
import software.amazon.awssdk.services.dynamodb.model.TransactionInProgressException;

/** What an error of DynamoDB means for a keyset store, by its code and not by its message. */
final class DynamoDbErrors {
  /** Refusals that pass by themselves. */
  private static final Set<String> TEMPORARY =
      Set.of(
          "ThrottlingException",
          "ThrottlingError",
          "RequestLimitExceeded",
          "ProvisionedThroughputExceeded",
          "ProvisionedThroughputExceededException",
          "TransactionConflict",
          "TransactionConflictException",
          "TransactionInProgressException",
          "ReplicatedWriteConflictException",
          "InternalServerError",
          "ServiceUnavailable");

  private static final String NO_TABLE = "ResourceNotFoundException";

  private DynamoDbErrors() {}

  static boolean isTemporary(String code) {
    return TEMPORARY.contains(code);
  }

  static Reason reasonOf(SdkException e) {
    if (!(e instanceof SdkServiceException service)) {
      return AwsErrors.isUnsent(e) ? Reason.INACCESSIBLE : Reason.UNAVAILABLE;
    }
    boolean temporary =
        isTemporary(AwsErrors.codeOf(service))
            || service.isThrottlingException()
            || service.statusCode() == 429
            || service.statusCode() >= 500;
    return temporary ? Reason.UNAVAILABLE : Reason.INACCESSIBLE;
  }

  /**
   * The failure in the words of the SPI. An interrupt stays with the thread, as its status.
   *
   * @param what what could not be done
   */
  static KeysetStoreException translated(String what, SdkException e) {
    AwsErrors.keepInterrupt(e);
    Reason reason = reasonOf(e);
    return new KeysetStoreException(
        reason,
        what
            + ": "
            + AwsErrors.describe(e)
            + (reason == Reason.INACCESSIBLE ? remedy(e) : "; try again later"),
        AwsErrors.quotingNothing(e));
  }

  /** Whether the condition of that item of the transaction was not met. */
  static boolean isRefused(TransactionCanceledException e, int item) {
    return e.cancellationReasons().size() > item
        && "ConditionalCheckFailed".equals(e.cancellationReasons().get(item).code());
  }

  /** Whether all that stood in the way was another transaction. */
  static boolean isBusy(TransactionCanceledException e) {
    return e.cancellationReasons().stream()
            .map(reason -> String.valueOf(reason.code()))
            .allMatch(
                Set.of("None", "null", "ConditionalCheckFailed", "TransactionConflict")::contains)
        && e.cancellationReasons().stream()
            .anyMatch(reason -> reason.code() != null && !reason.code().equals("None"));
  }

  /** Whether an earlier attempt of the same write is still being carried out. */
  static boolean isInProgress(SdkException e) {
    return e instanceof TransactionInProgressException;
  }

  /** A transaction that did not take effect, in the words of the SPI. */
  static KeysetStoreException cancelled(String problem, TransactionCanceledException e) {
    List<String> codes =
        e.cancellationReasons().stream()
            .map(reason -> String.valueOf(reason.code()))
            .filter(code -> !code.equals("None") && !code.equals("null"))
            .toList();
    boolean temporary = codes.stream().allMatch(DynamoDbErrors::isTemporary);
    return new KeysetStoreException(
        temporary ? Reason.UNAVAILABLE : Reason.INACCESSIBLE,
        problem + ": the transaction was cancelled, " + codes,
        null);
  }

  private static String remedy(SdkException e) {
    boolean missing =
        e instanceof SdkServiceException service && AwsErrors.codeOf(service).equals(NO_TABLE);
    return missing
        ? "; if account and region are right, create the table by DynamoDbKeysetStore.createTable"
        : "; check credentials, IAM policy, and that the table has the keys pk and sk";
  }
}
