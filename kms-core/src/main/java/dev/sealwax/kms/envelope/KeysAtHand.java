package dev.sealwax.kms.envelope;

import dev.sealwax.kms.cache.Held;
import dev.sealwax.kms.keyset.Keyset;
import java.lang.invoke.VarHandle;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The data keys that one cipher found in the caches last, one to encrypt messages and one to
 * decrypt, for messages under the same ones: saves them the way through the cache, a tenth of a
 * short decrypt and more where many keysets take turns.
 *
 * <p>Believed for a second, and never past the soft time to live: so the cache sees what is in use,
 * renews it in time and decides what stays: a key that a cache has dropped encrypts no more, and
 * one that all have dropped is wiped. A stale key is left to the cache, which counts how often it
 * serves. Written once in that time, so that threads with different keys do not fight for it.
 * Whether the key may be used is asked for every message all the same, and whoever uses it counts
 * it as a hit of the cache. Safe for concurrent use: racy on purpose, until when a key is believed
 * is said by the key.
 */
final class KeysAtHand {
  static final long BELIEF_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final LongSupplier nanoClock;
  private @Nullable DataKey opened;
  private @Nullable DataKey sealed;

  KeysAtHand(LongSupplier nanoClock) {
    this.nanoClock = nanoClock;
  }

  /** The last key to decrypt if {@code envelope} starts with its header, byte for byte. */
  @Nullable DataKey toDecrypt(byte[] envelope) {
    DataKey last = opened;
    return last != null
            && last.isAtHandToDecrypt(nanoClock.getAsLong())
            && last.header().isPrefixOf(envelope)
            && !last.isWithdrawn()
        ? last
        : null;
  }

  /** The last key to encrypt messages if it has been found fit to do so under {@code snapshot}. */
  @Nullable DataKey toEncrypt(Keyset snapshot) {
    DataKey last = sealed;
    return last != null
            && last.isAtHandToEncrypt(nanoClock.getAsLong())
            && last.isFitToEncrypt(snapshot)
            && !last.isWithdrawn()
        ? last
        : null;
  }

  void rememberToDecrypt(Held<DataKey> held) {
    long now = nanoClock.getAsLong();
    DataKey last = opened;
    if ((last == null || !last.isAtHandToDecrypt(now)) && !held.isStale(now)) {
      DataKey key = held.value();
      key.rememberedToDecrypt(this, held.freshUntil(now + BELIEF_NANOS));
      VarHandle.releaseFence(); // nobody sees the key without its time
      opened = key;
      forgetIfWiped(key);
    }
  }

  void rememberToEncrypt(Held<DataKey> held) {
    long now = nanoClock.getAsLong();
    DataKey last = sealed;
    DataKey key = held.value();
    // One that the cache for decryption has dropped would be remembered anew for every message.
    if ((last == null || !last.isAtHandToEncrypt(now)) && !held.isStale(now) && !key.isDropped()) {
      key.rememberedToEncrypt(this, held.freshUntil(now + BELIEF_NANOS));
      VarHandle.releaseFence();
      sealed = key;
      forgetIfWiped(key);
    }
  }

  /** For a key that was closed between the look into the cache and now, and has told nobody. */
  private void forgetIfWiped(DataKey key) {
    VarHandle.fullFence();
    if (key.isWiped()) {
      forget(key);
    }
  }

  /**
   * To be called when a key has turned out to be closed or its budget spent, and by a key that is
   * wiped: there may be a cipher for each of a hundred thousand.
   */
  void forget(DataKey key) {
    if (opened == key) {
      opened = null;
    }
    if (sealed == key) {
      sealed = null;
    }
  }
}
