package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.vocabulary.KeysetId;

/**
 * How many records a key version had, and still has.
 *
 * @param keyset the keyset
 * @param version the key version
 * @param found records that the scan met under the version; of those that failed, what their
 *     headers claim
 * @param left records that the scan left under it, counting those it moved there
 */
public record VersionCount(KeysetId keyset, int version, long found, long left) {}
