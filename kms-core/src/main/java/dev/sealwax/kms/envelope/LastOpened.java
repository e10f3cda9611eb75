package dev.sealwax.kms.envelope;

import dev.sealwax.kms.cache.Held;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The data key that one cipher found in the cache last, for messages under the same one: saves them
 * the way through the cache, a tenth of a short decrypt.
 *
 * <p>Believed within one step of the coarse clock only, so that the cache sees what is in use and
 * decides what stays; written once per step, so that threads with different keys do not fight for
 * it. Whether the key may be used is asked for every message all the same. Safe for concurrent use:
 * racy on purpose, an older entry is only not believed.
 */
final class LastOpened {
  private record Entry(Held<DataKey> held, long step) {}

  private final LongSupplier nanoClock;
  private @Nullable Entry entry;

  LastOpened(LongSupplier nanoClock) {
    this.nanoClock = nanoClock;
  }

  /**
   * The key whose header {@code envelope} starts with, byte for byte, if that was the last one;
   * whoever uses it counts it as a hit of the cache.
   */
  @Nullable Held<DataKey> find(byte[] envelope) {
    Entry last = entry;
    return last != null
            && last.step == nanoClock.getAsLong()
            && last.held.value().header().isPrefixOf(envelope)
            && !last.held.value().isWithdrawn()
        ? last.held
        : null;
  }

  void remember(Held<DataKey> held) {
    Entry last = entry;
    long now = nanoClock.getAsLong();
    // A stale one is left to the cache, which counts how often it serves.
    if ((last == null || last.step != now) && !held.isStale(now)) {
      held.value().rememberedBy(this);
      entry = new Entry(held, now);
    }
  }

  /** To be called when the key found has turned out to be closed. */
  void forget() {
    entry = null;
  }

  /** Lets go of a key that is wiped: there may be a cipher for each of a hundred thousand. */
  void forget(DataKey wiped) {
    Entry last = entry;
    if (last != null && last.held.value() == wiped) {
      entry = null;
    }
  }
}
