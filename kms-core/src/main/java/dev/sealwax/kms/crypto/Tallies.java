package dev.sealwax.kms.crypto;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Counts messages and bytes exactly, at the price of a plain write each: every cipher slot has a
 * tally of its own, written by the thread that holds the slot. A shared counter, even a striped
 * one, would cost a short decrypt some percent. Safe for concurrent use.
 */
public final class Tallies {
  private static final VarHandle MESSAGES = handle("messages");
  private static final VarHandle BYTES = handle("bytes");
  private static final VarHandle AT_HAND = handle("atHand");

  private final ReentrantLock lock = new ReentrantLock();
  private final Set<Tally> open = new HashSet<>();
  private final Tally closed = new Tally(); // the sum; guarded by lock, as is open

  /** What one slot has done. Written by one thread at a time. */
  static final class Tally {
    private long messages;
    private long bytes;
    private long atHand;

    void count(int lengthBytes) {
      // Opaque: a reader on a 32-bit JVM must not see half a number.
      MESSAGES.setOpaque(this, messages + 1);
      BYTES.setOpaque(this, bytes + lengthBytes);
    }

    void countAtHand() {
      AT_HAND.setOpaque(this, atHand + 1);
    }
  }

  private static VarHandle handle(String field) {
    try {
      return MethodHandles.lookup().findVarHandle(Tally.class, field, long.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  Tally open() {
    Tally tally = new Tally();
    lock.lock();
    try {
      open.add(tally);
    } finally {
      lock.unlock();
    }
    return tally;
  }

  /** Keeps what {@code tally} says and lets go of it. */
  void close(Tally tally) {
    lock.lock();
    try {
      if (open.remove(tally)) {
        closed.messages += tally.messages;
        closed.bytes += tally.bytes;
        closed.atHand += tally.atHand;
      }
    } finally {
      lock.unlock();
    }
  }

  public long messages() {
    return sum(MESSAGES);
  }

  public long bytes() {
    return sum(BYTES);
  }

  /** How often the key was used by a caller that had it at hand, and looked nothing up. */
  public long atHand() {
    return sum(AT_HAND);
  }

  private long sum(VarHandle field) {
    lock.lock();
    try {
      long sum = (long) field.getOpaque(closed);
      for (Tally tally : open) {
        sum += (long) field.getOpaque(tally);
      }
      return sum;
    } finally {
      lock.unlock();
    }
  }
}
