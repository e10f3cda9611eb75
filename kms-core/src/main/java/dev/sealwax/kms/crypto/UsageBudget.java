package dev.sealwax.kms.crypto;

import java.util.concurrent.atomic.AtomicLong;

/**
 * How many messages and bytes one key may still encrypt; shared by all threads, never overdrawn.
 *
 * <p>Holders draw in blocks so that the hot path touches no shared counter. A block shrinks with
 * what is left, down to a single message, so little is stranded in idle holders when the budget
 * runs out.
 */
public final class UsageBudget {
  private static final long LARGEST_MESSAGE_BLOCK = 4096;
  private static final long LARGEST_BYTE_BLOCK = 64L << 20;

  private final AtomicLong messagesLeft;
  private final AtomicLong bytesLeft;

  public UsageBudget(long messages, long bytes) {
    messagesLeft = new AtomicLong(messages);
    bytesLeft = new AtomicLong(bytes);
  }

  /** Draws one message of {@code lengthBytes}, all or nothing. */
  boolean take(long lengthBytes) {
    if (draw(messagesLeft, 1, 1) == 0) {
      return false;
    }
    if (draw(bytesLeft, lengthBytes, lengthBytes) < lengthBytes) {
      messagesLeft.incrementAndGet();
      return false;
    }
    return true;
  }

  /** Draws a block of messages; 0 if none is left. */
  long takeMessages() {
    return draw(messagesLeft, 1, LARGEST_MESSAGE_BLOCK);
  }

  /** Draws a block of at least {@code lengthBytes}; 0 if fewer are left. */
  long takeBytes(long lengthBytes) {
    return draw(bytesLeft, lengthBytes, Math.max(lengthBytes, LARGEST_BYTE_BLOCK));
  }

  void giveBack(long messages, long bytes) {
    messagesLeft.addAndGet(messages);
    bytesLeft.addAndGet(bytes);
  }

  private static long draw(AtomicLong pool, long atLeast, long atMost) {
    while (true) {
      long left = pool.get();
      if (left < atLeast) {
        return 0;
      }
      long block = Math.max(atLeast, Math.min(atMost, left / 64));
      if (pool.compareAndSet(left, left - block)) {
        return block;
      }
    }
  }
}
