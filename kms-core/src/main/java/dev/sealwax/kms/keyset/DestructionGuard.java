package dev.sealwax.kms.keyset;

import dev.sealwax.kms.keyset.VersionUse.Answer;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What keeps a version from being scheduled or destroyed although its state would allow it: a hold,
 * use within the quiet period, data that needs it (keyset-v1 §4.3). Used by one thread, for one
 * verb.
 */
final class DestructionGuard {
  private final Instant now;
  private final @Nullable VersionUse inventory;
  private final @Nullable String override;
  // A verb may try its change several times; data is looked through once.
  private final Map<Integer, Answer> answers = new HashMap<>();

  private DestructionGuard(Instant now, @Nullable VersionUse inventory, @Nullable String override) {
    this.now = now;
    this.inventory = inventory;
    this.override = override;
  }

  static DestructionGuard at(Instant now) {
    return new DestructionGuard(now, null, null);
  }

  DestructionGuard asking(@Nullable VersionUse use) {
    return new DestructionGuard(now, use, override);
  }

  /** Lets a version pass that is in use; never one that is held. */
  DestructionGuard overriddenBecause(String reason) {
    KeysetTemplate.requireText("reason", reason);
    return new DestructionGuard(now, inventory, reason);
  }

  Instant now() {
    return now;
  }

  @Nullable String override() {
    return override;
  }

  /** Why the version must stay, or null if it may go. */
  @Nullable String objection(Keyset keyset, KeyVersion version) {
    LegalHold hold = keyset.hold().orElse(null);
    if (hold != null) {
      return "the keyset is held since "
          + hold.since()
          + " ("
          + hold.reason()
          + "); release the hold first";
    }
    if (override != null || version.overrideReason().isPresent()) {
      return null;
    }
    Instant quietAt =
        version.lastUsedAt().flatMap(used -> keyset.quietPeriod().map(used::plus)).orElse(null);
    if (quietAt != null && now.isBefore(quietAt)) {
      return "it has encrypted on "
          + version.lastUsedAt().orElseThrow()
          + "; wait until "
          + quietAt
          + ", or override that with a reason";
    }
    if (inventory == null) {
      return null;
    }
    return switch (answers.computeIfAbsent(
        version.number(), number -> inventory.of(keyset.id(), number))) {
      case UNUSED -> null;
      case IN_USE -> "data under it exists; rewrap that first, or override that with a reason";
      case UNKNOWN ->
          "it is not known whether data under it exists; look again, or override that with a"
              + " reason";
    };
  }
}
