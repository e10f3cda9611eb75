package dev.sealwax.kms.crypto;

import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

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
  private final @Nullable UsageMeter meter;

  public UsageBudget(long messages, long bytes) {
    this(messages, bytes, null);
  }

  /**
   * Starts with so many messages and bytes.
   *
   * @param meter counts what is drawn, if somebody wants to know; shared with other budgets
   */
  public UsageBudget(long messages, long bytes, @Nullable UsageMeter meter) {
    this.messagesLeft = new AtomicLong(messages);
    this.bytesLeft = new AtomicLong(bytes);
    this.meter = meter;
  }

  /** Counts what is encrypted beyond what was drawn, if somebody wants to know. */
  @Nullable UsageMeter meter() {
    return meter;
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
    count(1, lengthBytes);
    return true;
  }

  /** Draws a block of messages; 0 if none is left. */
  long takeMessages() {
    long atMost =
        meter == null
            ? LARGEST_MESSAGE_BLOCK
            : Math.min(LARGEST_MESSAGE_BLOCK, meter.largestMessagePortion());
    long drawn = draw(messagesLeft, 1, atMost);
    count(drawn, 0);
    return drawn;
  }

  /** Draws a block of at least {@code lengthBytes}; 0 if fewer are left. */
  long takeBytes(long lengthBytes) {
    long atMost =
        meter == null
            ? LARGEST_BYTE_BLOCK
            : Math.min(LARGEST_BYTE_BLOCK, meter.largestBytePortion());
    long drawn = draw(bytesLeft, lengthBytes, Math.max(lengthBytes, atMost));
    count(0, drawn);
    return drawn;
  }

  void giveBack(long messages, long bytes) {
    messagesLeft.addAndGet(messages);
    bytesLeft.addAndGet(bytes);
    if (meter != null) {
      meter.givenBack(messages, bytes);
    }
  }

  private void count(long messages, long bytes) {
    if (meter != null && (messages != 0 || bytes != 0)) {
      meter.lent(messages, bytes);
    }
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
