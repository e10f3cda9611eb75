package dev.sealwax.kms.keyset;

import java.time.Instant;
import java.util.Optional;

/** What a keyset needs next to be rotated by its policy (keyset-v1 §4.1). */
enum RotationStep {
  /** Nothing at this moment. */
  NONE,
  /** A version that every process can learn of. */
  PUBLISH,
  /** That version as its primary. */
  PROMOTE;

  static RotationStep of(Keyset keyset, Instant now) {
    KeyState primary = keyset.version(keyset.primary()).orElseThrow().state();
    if (primary != KeyState.ENABLED || !keyset.isRotationDue(now)) {
      return NONE;
    }
    KeyVersion waiting = waiting(keyset).orElse(null);
    if (waiting == null) {
      return PUBLISH;
    }
    Instant known = waiting.createdAt().plus(keyset.rotationPolicy().propagationDelay());
    return now.isBefore(known) ? NONE : PROMOTE;
  }

  /** Whether a version is published and waits, no longer than it should, to become primary. */
  static boolean isUnderWay(Keyset keyset, Instant now) {
    KeyVersion waiting = waiting(keyset).orElse(null);
    return waiting != null
        && keyset.version(keyset.primary()).orElseThrow().state() == KeyState.ENABLED
        && !now.isBefore(waiting.createdAt())
        && of(keyset, now) == NONE;
  }

  /** The newest pending version: one that a process published before it stopped serves as well. */
  static Optional<KeyVersion> waiting(Keyset keyset) {
    return keyset.versions().stream()
        .filter(version -> version.state() == KeyState.PENDING)
        .reduce((older, newer) -> newer);
  }
}
