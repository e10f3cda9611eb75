package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Instant;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;

/**
 * Whether a key version is still needed, as far as the sources of one scan go. It knows nothing of
 * other tables, backups, replicas that lag, queues and caches: what is copied back from there may
 * be under any version.
 *
 * @param keyset the keyset
 * @param version the key version
 * @param obstacles why it may not be destroyed yet; unmodifiable, empty if it may
 * @param scanAgainAfter a scan that begins later meets no more writers under an old version
 */
public record DestructionVerdict(
    KeysetId keyset, int version, Set<Obstacle> obstacles, Instant scanAgainAfter) {
  public DestructionVerdict {
    EnumSet<Obstacle> copy = EnumSet.noneOf(Obstacle.class);
    copy.addAll(obstacles);
    obstacles = Collections.unmodifiableSet(copy);
  }

  /** Whether nothing in the sources needs the version. */
  public boolean isSafe() {
    return obstacles.isEmpty();
  }
}
