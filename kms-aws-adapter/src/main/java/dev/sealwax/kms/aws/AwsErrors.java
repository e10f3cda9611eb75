package dev.sealwax.kms.aws;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.exception.AbortedException;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.exception.SdkServiceException;

/**
 * What can be said of a failure of the SDK, whichever service it is of, without quoting requests or
 * answers: there are contexts and secrets in them, and services and parsers do quote.
 */
final class AwsErrors {
  private static final int MAX_MESSAGE = 300;

  private AwsErrors() {}

  /** The code of the service's error; empty if it gave none. */
  static String codeOf(SdkServiceException e) {
    AwsErrorDetails details = detailsOf(e);
    return details == null || details.errorCode() == null ? "" : details.errorCode();
  }

  private static @Nullable AwsErrorDetails detailsOf(SdkServiceException e) {
    return e instanceof AwsServiceException service ? service.awsErrorDetails() : null;
  }

  /** Whether this is refusal of the service's, so that the call had no effect. */
  static boolean isRefusal(SdkException e) {
    return e instanceof SdkServiceException service
        && service.statusCode() >= 400
        && service.statusCode() < 500;
  }

  /** Whether nothing was sent, for want of credentials: no attempt, and no trouble on the way. */
  static boolean isUnsent(SdkException e) {
    return e.getClass() == SdkClientException.class
        && e.numAttempts() == null
        && !hasCause(e, IOException.class::isInstance);
  }

  /** Code, status and request id, or the kinds of exception. */
  static String describe(SdkException e) {
    if (e instanceof SdkServiceException service) {
      String code = codeOf(service);
      String requestId = service.requestId();
      return (code.isEmpty() ? "" : code + ", ")
          + "HTTP "
          + service.statusCode()
          + (requestId == null ? "" : ", request " + requestId);
    }
    Throwable root = e;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    String kind = e.getClass().getSimpleName();
    return root == e ? kind : kind + ", " + root.getClass().getSimpleName();
  }

  /** Who lacks what right, in the words of the service: one line, and only for denials. */
  static String denialOf(SdkException e) {
    AwsErrorDetails details = e instanceof SdkServiceException service ? detailsOf(service) : null;
    String message = details == null ? null : details.errorMessage();
    if (message == null || message.isBlank()) {
      return "";
    }
    String line = message.lines().findFirst().orElse("");
    return " (" + (line.length() > MAX_MESSAGE ? line.substring(0, MAX_MESSAGE) : line) + ")";
  }

  /** The failure itself where its messages, and those of its causes, cannot quote anything. */
  static @Nullable SdkException quotingNothing(SdkException e) {
    boolean mayQuote =
        e instanceof SdkServiceException || hasCause(e, UncheckedIOException.class::isInstance);
    return mayQuote ? null : e;
  }

  /** Gives an interrupt that ended a call back to the thread. */
  static void keepInterrupt(SdkException e) {
    if (e instanceof AbortedException) {
      Thread.currentThread().interrupt();
    }
  }

  private static boolean hasCause(Throwable e, Predicate<Throwable> kind) {
    for (Throwable cause = e.getCause(); cause != null; cause = cause.getCause()) {
      if (kind.test(cause)) {
        return true;
      }
    }
    return false;
  }
}
