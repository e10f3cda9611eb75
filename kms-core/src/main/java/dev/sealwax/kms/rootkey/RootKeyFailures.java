package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.DISABLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.THROTTLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;

/**
 * What several root keys have failed with, told as one failure. For one thread.
 *
 * <p>Its reason is the first of them in a fixed order. A refusal comes before an outage, so that
 * cutting the line to one root key does not hide that another was switched off; an outage before
 * "altered" and "not found", because who does not answer might have opened it.
 */
final class RootKeyFailures {
  private static final List<Reason> ORDER =
      List.of(
          DISABLED,
          ACCESS_DENIED,
          UNAVAILABLE,
          THROTTLED,
          INTERNAL,
          UNSUPPORTED,
          INVALID_CIPHERTEXT,
          NOT_FOUND);

  private record Failure(RootKeyId rootKey, RootKeyException thrown) {}

  private final List<Failure> failures = new ArrayList<>();

  void add(RootKeyId rootKey, RootKeyException thrown) {
    failures.add(new Failure(rootKey, thrown));
  }

  /** Whether nobody has said anything but that it is not theirs. */
  boolean areAllNotFound() {
    return failures.stream().allMatch(failure -> failure.thrown.reason() == NOT_FOUND);
  }

  /** One failure for all; there is at least one. */
  RootKeyException told(String problem) {
    Failure first =
        failures.stream()
            .min(Comparator.comparingInt(failure -> ORDER.indexOf(failure.thrown.reason())))
            .orElseThrow();
    String each =
        failures.stream()
            .map(failure -> failure.rootKey + " " + failure.thrown.reason())
            .collect(Collectors.joining(", "));
    RootKeyException told =
        new RootKeyException(first.thrown.reason(), problem + ": " + each, first.thrown);
    List<Failure> others = new ArrayList<>(failures);
    others.remove(first);
    others.forEach(failure -> told.addSuppressed(failure.thrown));
    return told;
  }
}
