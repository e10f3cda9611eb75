package dev.sealwax.kms.aws;

import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.util.Set;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.exception.SdkServiceException;

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

  private static String remedy(SdkException e) {
    boolean missing =
        e instanceof SdkServiceException service && AwsErrors.codeOf(service).equals(NO_TABLE);
    return missing
        ? "; if account and region are right, create the table by DynamoDbKeysetStore.createTable"
        : "; check credentials, IAM policy, and that the table has the keys pk and sk";
  }
}
