package dev.sealwax.kms.crypto;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A few ready ciphers of one key, lent to one thread at a time.
 *
 * <p>The ciphers live with the key and not with the thread: SunJCE redoes the AES key schedule
 * whenever a cipher changes keys, and a thread-local cipher would be made anew for every virtual
 * thread. Each slot owns its own copy of the key, so whoever holds a slot may go on while the key
 * is closed: the slot is wiped when it comes back. At most one slot per concurrent caller exists,
 * and at most {@link #CAPACITY} are kept.
 *
 * @param <S> what a slot holds
 */
final class CipherSlots<S extends CipherSlots.Slot> implements AutoCloseable {
  /** A cipher with its own copy of the key. Used by one thread at a time. */
  interface Slot {
    /** Overwrites every copy of the key that this slot can reach. */
    void wipe();
  }

  private static final int CAPACITY =
      Math.min(
          16, Integer.highestOneBit(Math.max(2, Runtime.getRuntime().availableProcessors())) * 4);
  // References are 4 bytes (compressed) or 8: 16 apart, no two slots share a cache line.
  private static final int STRIDE = 16;
  private static final int PROBES = 4;

  private final AtomicReferenceArray<@Nullable S> parked =
      new AtomicReferenceArray<>(CAPACITY * STRIDE);
  private final Function<byte[], S> maker;
  private final ReentrantLock masterLock = new ReentrantLock();
  private final byte[] master;
  private volatile boolean closed;

  /**
   * Prepares slots without making one.
   *
   * @param key copied; the caller wipes its own
   * @param maker builds a slot around its own copy of the bytes it is lent
   */
  CipherSlots(byte[] key, Function<byte[], S> maker) {
    this.master = key.clone();
    this.maker = maker;
  }

  /**
   * Lends a slot; null once closed. Every slot goes back through {@link #release} or {@link
   * #discard}.
   */
  @Nullable S acquire() {
    int home = homeIndex();
    for (int i = 0; i < PROBES; i++) {
      int index = index(home + i);
      // Looked at before it is swapped: writing to an empty place would take its cache line away
      // from the thread at home there.
      S slot = parked.get(index) == null ? null : parked.getAndSet(index, null);
      if (slot != null) {
        if (closed) {
          // It was given back while close() went round.
          slot.wipe();
          return null;
        }
        return slot;
      }
    }
    masterLock.lock();
    try {
      return closed ? null : maker.apply(master);
    } finally {
      masterLock.unlock();
    }
  }

  /** Takes a slot back that is fit for another use. */
  void release(S slot) {
    int home = homeIndex();
    for (int i = 0; i < PROBES; i++) {
      int index = index(home + i);
      if (parked.get(index) == null && parked.compareAndSet(index, null, slot)) {
        if (closed) {
          // close() may have passed this index already: whoever takes the slot out now wipes it.
          wipeParked(index);
        }
        return;
      }
    }
    slot.wipe();
  }

  /** Takes a slot back whose cipher failed half-way and is not trusted any more. */
  void discard(S slot) {
    slot.wipe();
  }

  @Override
  public void close() {
    masterLock.lock();
    try {
      closed = true;
      Arrays.fill(master, (byte) 0);
    } finally {
      masterLock.unlock();
    }
    for (int i = 0; i < CAPACITY; i++) {
      wipeParked(index(i));
    }
  }

  private void wipeParked(int index) {
    S slot = parked.getAndSet(index, null);
    if (slot != null) {
      slot.wipe();
    }
  }

  private static int homeIndex() {
    // Fibonacci hashing: ids of a pool's threads often differ by a multiple of the capacity.
    return (int) ((Thread.currentThread().getId() * 0x9E3779B97F4A7C15L) >>> 32);
  }

  private static int index(int slot) {
    return (slot & (CAPACITY - 1)) * STRIDE;
  }
}
