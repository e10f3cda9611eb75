package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Instant;

/**
 * Where the records of a keyset go.
 *
 * @param keyset the keyset
 * @param primary its primary when the scan began
 * @param revision its revision then
 * @param since the earliest moment from which on we know this primary to be the primary without a
 *     break: when a scan first saw it, provided that the keyset has not changed since
 */
record MoveTarget(KeysetId keyset, int primary, long revision, Instant since) {}
