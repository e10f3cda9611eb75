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
  private static final int MAX_NAME = 100;

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

  /** Whether the answer is that of the only attempt; of an earlier one it says nothing. */
  static boolean isOnlyAttempt(SdkException e) {
    Integer attempts = e.numAttempts();
    return attempts != null && attempts == 1;
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
      String code = printable(codeOf(service), MAX_NAME);
      String requestId = service.requestId();
      return (code.isEmpty() ? "" : code + ", ")
          + "HTTP "
          + service.statusCode()
          + (requestId == null ? "" : ", request " + printable(requestId, MAX_NAME));
    }
    Throwable root = e;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    String kind = e.getClass().getSimpleName();
    return root == e ? kind : kind + ", " + root.getClass().getSimpleName();
  }

  /**
   * Who lacks what right, in the words of the service: the one message that is quoted, because it
   * names principal, action and key, and no other place does. Whatever else came with a status of
   * refusal may be a proxy's page, or quote the request.
   */
  static String denialOf(SdkException e) {
    AwsErrorDetails details = e instanceof SdkServiceException service ? detailsOf(service) : null;
    if (details == null
        || !"AccessDeniedException".equals(details.errorCode())
        || details.errorMessage() == null
        || details.errorMessage().isBlank()) {
      return "";
    }
    return " (" + printable(details.errorMessage(), MAX_MESSAGE) + ")";
  }

  /** The start of a text from outside, so that it can neither end a line of a log nor fill it. */
  private static String printable(String text, int most) {
    String start = text.length() > most ? text.substring(0, most) : text;
    return start.replaceAll("[^ -~]", "?");
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
