package dev.sealwax.kms.aws;

import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.exception.SdkServiceException;
import software.amazon.awssdk.services.kms.model.KeyState;

/**
 * What an error of AWS KMS means, by its code: neither by its class, because the SDK has none for
 * throttling and denial, nor by its message.
 */
final class KmsErrors {
  private static final String INVALID_STATE = "KMSInvalidStateException";

  private static final Map<String, Reason> REASONS = new HashMap<>();

  static {
    put(Reason.NOT_FOUND, "NotFoundException");
    put(Reason.DISABLED, "DisabledException", INVALID_STATE);
    put(
        Reason.ACCESS_DENIED,
        // Also the answer for a key that does not exist, or is in another region.
        "AccessDeniedException",
        "AccessDenied",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "RequestExpired",
        "InvalidIdentityToken",
        "NotAuthorized");
    put(Reason.INVALID_CIPHERTEXT, "InvalidCiphertextException", "IncorrectKeyException");
    put(
        Reason.THROTTLED,
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "TooManyRequestsException");
    put(
        Reason.UNAVAILABLE,
        // Who hands out credentials has not renewed them, which says nothing of the key.
        "ExpiredToken",
        "ExpiredTokenException",
        "KMSInternalException",
        "InternalFailure",
        "InternalServerError",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "DependencyTimeoutException",
        "KeyUnavailableException",
        "CustomKeyStoreInvalidStateException",
        "CloudHsmClusterNotActiveException",
        "CloudHsmClusterInvalidConfigurationException",
        "XksProxyUriUnreachableException",
        "XksProxyInvalidResponseException",
        "XksProxyInvalidConfigurationException",
        "XksProxyIncorrectAuthenticationCredentialException");
    put(
        Reason.UNSUPPORTED,
        "InvalidKeyUsageException",
        "ValidationException",
        "ValidationError",
        "InvalidArnException",
        "UnsupportedOperationException",
        "InvalidGrantTokenException");
    // A quota of keys or grants, which waiting does not raise, whatever the name suggests.
    put(Reason.INTERNAL, "LimitExceededException");
  }

  private KmsErrors() {}

  private static void put(Reason reason, String... codes) {
    for (String code : codes) {
      REASONS.put(code, reason);
    }
  }

  static Reason reasonOf(SdkException e) {
    if (!(e instanceof SdkServiceException service)) {
      // No answer, or half of one, or time is up; or no credentials to ask with, for instance
      // because the instance metadata service is down. KMS has not said a word.
      return Reason.UNAVAILABLE;
    }
    Reason known = REASONS.get(AwsErrors.codeOf(service));
    if (known != null) {
      return known;
    }
    if (service.isThrottlingException() || service.statusCode() == 429) {
      return Reason.THROTTLED;
    }
    if (service.statusCode() == 401 || service.statusCode() == 403) {
      return Reason.ACCESS_DENIED;
    }
    return service.statusCode() >= 500 ? Reason.UNAVAILABLE : Reason.INTERNAL;
  }

  /** Whether only the state of the key says how bad it is. */
  static boolean isInvalidState(SdkException e) {
    return e instanceof SdkServiceException service
        && AwsErrors.codeOf(service).equals(INVALID_STATE);
  }

  /**
   * What it means for a key to be in that state when KMS has just refused to use it. A key that is
   * usable again, or will be without anybody's action, is unavailable.
   */
  static Reason reasonOf(@Nullable KeyState state) {
    return switch (Objects.requireNonNullElse(state, KeyState.UNKNOWN_TO_SDK_VERSION)) {
      case ENABLED, CREATING, UPDATING, UNAVAILABLE -> Reason.UNAVAILABLE;
      default -> Reason.DISABLED;
    };
  }

  /**
   * The failure in the words of the SPI. An interrupt stays with the thread, as its status.
   *
   * @param what the call and the key
   */
  static RootKeyException translated(String what, SdkException e, Reason reason) {
    AwsErrors.keepInterrupt(e);
    return new RootKeyException(
        reason,
        what
            + ": "
            + AwsErrors.describe(e)
            + (reason == Reason.ACCESS_DENIED ? AwsErrors.denialOf(e) : "")
            + (AwsErrors.isUnsent(e)
                ? "; there are no credentials, see the cause and the client's provider of them"
                : remedy(reason)),
        AwsErrors.quotingNothing(e));
  }

  private static String remedy(Reason reason) {
    return switch (reason) {
      case NOT_FOUND -> "; check key, account and region";
      case DISABLED -> "; enable the key, or cancel its deletion";
      case ACCESS_DENIED ->
          "; check credentials, IAM policy, key policy, and that the key exists in this region";
      case INVALID_CIPHERTEXT -> "; it was wrapped by another key, for another context, or altered";
      case THROTTLED -> "; slow down";
      case UNAVAILABLE -> "; try again later";
      case UNSUPPORTED -> "; the key or the request is of a kind that KMS refuses";
      case INTERNAL -> "";
    };
  }
}
