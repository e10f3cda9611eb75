package dev.sealwax.kms.keyset;

import dev.sealwax.kms.vocabulary.KeysetId;

/**
 * Says whether data still needs a key version: asked before its destruction is scheduled, and again
 * before it is carried out. Implementations look where the data is; they are safe for any thread if
 * several processes or threads use them.
 */
@FunctionalInterface
public interface VersionUse {
  /** What is known of the use of a version. */
  enum Answer {
    /** Data under the version exists: destroying it would lose that data. */
    IN_USE,
    /** Everything was looked at and nothing needs the version. */
    UNUSED,
    /** Not everything could be looked at. Treated as in use. */
    UNKNOWN
  }

  /** Looks whether anything is still under the version. What this throws ends the verb. */
  Answer of(KeysetId keyset, int version);
}
