package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Instant;

/**
 * Where the records of a keyset go.
 *
 * @param keyset the keyset
 * @param primary its primary when the scan began
 * @param primarySince when that became the primary, in seconds since 1970; every promotion changes
 *     it
 * @param since the earliest moment from which on we know this primary to be the primary without a
 *     break: when a scan first saw it, provided that no other was promoted since
 */
record MoveTarget(KeysetId keyset, int primary, long primarySince, Instant since) {}
