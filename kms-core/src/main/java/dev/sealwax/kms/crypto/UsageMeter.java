package dev.sealwax.kms.crypto;

import java.util.concurrent.atomic.AtomicLong;

/**
 * Counts what {@link UsageBudget budgets} have lent and not been given back since it was last
 * reported, and says when that makes a block.
 *
 * <p>Counts what is lent to cipher slots rather than what they seal, so that nothing is done per
 * message; what a slot holds and has not used counts as used until it is given back. Budgets with a
 * meter lend in portions of a 64th of a block. Safe for concurrent use.
 */
public final class UsageMeter {
  /** A block of what nobody wants to be told of. */
  public static final long NO_BLOCK = Long.MAX_VALUE;

  private static final int PORTIONS_PER_BLOCK = 64;

  private final Runnable onBlock;
  private final AtomicLong messages = new AtomicLong();
  private final AtomicLong bytes = new AtomicLong();
  private volatile long messageBlock = NO_BLOCK;
  private volatile long byteBlock = NO_BLOCK;
  private volatile long messageMark = NO_BLOCK;
  private volatile long byteMark = NO_BLOCK;

  /**
   * Starts at zero, without blocks.
   *
   * @param onBlock called by whoever fills a block, in the middle of an encryption: must return at
   *     once and throw nothing
   */
  public UsageMeter(Runnable onBlock) {
    this.onBlock = onBlock;
  }

  /** Sets how much makes a block, {@link #NO_BLOCK} if any amount does not. */
  public void setBlocks(long messagesPerBlock, long bytesPerBlock) {
    if (messagesPerBlock != messageBlock || bytesPerBlock != byteBlock) {
      messageBlock = messagesPerBlock;
      byteBlock = bytesPerBlock;
      messageMark = messagesPerBlock;
      byteMark = bytesPerBlock;
    }
  }

  /** Messages not reported yet; less than 0 if some that were reported came back unused. */
  public long messages() {
    return messages.get();
  }

  /** Bytes not reported yet, as {@link #messages}. */
  public long bytes() {
    return bytes.get();
  }

  /** Takes note that so much has been reported; the next block starts. */
  public void reported(long reportedMessages, long reportedBytes) {
    messages.addAndGet(-reportedMessages);
    bytes.addAndGet(-reportedBytes);
    messageMark = messageBlock;
    byteMark = byteBlock;
  }

  /** Takes note that a report has failed: it is called for again after another block. */
  public void postpone() {
    messageMark = after(messages.get(), messageBlock);
    byteMark = after(bytes.get(), byteBlock);
  }

  private static long after(long count, long block) {
    return block == NO_BLOCK ? NO_BLOCK : count + block;
  }

  long largestMessagePortion() {
    return Math.max(1, messageBlock / PORTIONS_PER_BLOCK);
  }

  long largestBytePortion() {
    return Math.max(1, byteBlock / PORTIONS_PER_BLOCK);
  }

  void lent(long moreMessages, long moreBytes) {
    long messagesNow = messages.addAndGet(moreMessages);
    long bytesNow = bytes.addAndGet(moreBytes);
    if (messagesNow >= messageMark || bytesNow >= byteMark) {
      onBlock.run();
    }
  }

  void givenBack(long unusedMessages, long unusedBytes) {
    messages.addAndGet(-unusedMessages);
    bytes.addAndGet(-unusedBytes);
  }
}
