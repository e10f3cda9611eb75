package dev.sealwax.kms.keyset;

import java.time.Instant;
import java.util.Objects;

/**
 * A hold on a keyset: while it lasts, nothing in the keyset can be scheduled for destruction or
 * destroyed. Immutable.
 *
 * @param since when it was placed
 * @param reason why, 1 to {@value KeysetTemplate#MAX_TEXT_LENGTH} printable ASCII characters
 */
public record LegalHold(Instant since, String reason) {
  public LegalHold {
    Objects.requireNonNull(since, "since");
    KeysetTemplate.requireText("reason", reason);
  }
}
