package dev.sealwax.kms.keyset;

import dev.sealwax.kms.vocabulary.KeysetId;

/** Identifies a key version within the process. */
record VersionId(KeysetId keyset, int version) {}
