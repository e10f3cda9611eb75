package dev.sealwax.kms;

import dev.sealwax.kms.envelope.EnvelopeStatistics;
import dev.sealwax.kms.vocabulary.CacheStatistics;

/**
 * What a {@link Kms} has done since it was opened, as one snapshot; figures of operations under way
 * may be missing.
 *
 * @param envelopes messages, bytes and the caches of data keys
 * @param keyVersions the cache of unwrapped key versions
 * @param rootWraps calls by which the root key wrapped a key version
 * @param rootUnwraps calls by which the root key unwrapped a key version
 * @param rootFailures calls of either kind that failed; they are not counted with the others
 */
public record KmsStatistics(
    EnvelopeStatistics envelopes,
    CacheStatistics keyVersions,
    long rootWraps,
    long rootUnwraps,
    long rootFailures) {}
