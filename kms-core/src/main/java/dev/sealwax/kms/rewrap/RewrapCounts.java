package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.rewrap.RewrapFailure.Reason;
import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;

/**
 * What became of records. Each scanned record counts in exactly one of the other ways.
 *
 * @param scanned records looked at
 * @param moved records that got a header under the primary; in a dry run or a check, those that
 *     would get one
 * @param reencrypted records of a compromised version that were encrypted anew; in a dry run, those
 *     that would be tried
 * @param alreadyThere records whose header is under the primary already, verified
 * @param withoutValue records without a value, skipped
 * @param otherKeyset records that name, unauthenticated, a keyset which the job is not about,
 *     skipped
 * @param gone records that vanished before they were written
 * @param failures records that failed, by reason; unmodifiable
 */
public record RewrapCounts(
    long scanned,
    long moved,
    long reencrypted,
    long alreadyThere,
    long withoutValue,
    long otherKeyset,
    long gone,
    Map<Reason, Long> failures) {
  public RewrapCounts {
    Map<Reason, Long> copy = new EnumMap<>(Reason.class);
    copy.putAll(failures);
    failures = Collections.unmodifiableMap(copy);
  }

  /** Records that failed, for whatever reason. */
  public long failed() {
    return failures.values().stream().mapToLong(Long::longValue).sum();
  }
}
