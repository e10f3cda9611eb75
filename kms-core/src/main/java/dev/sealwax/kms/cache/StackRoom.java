package dev.sealwax.kms.cache;

/**
 * Room on the stack for what must not be left half done.
 *
 * <p>A {@link StackOverflowError} strikes where the stack ends, be it between the claim to some
 * work and the {@code finally} that gives the claim back, or in that {@code finally}; whoever waits
 * for the work would wait for ever. Whoever asks for room first meets the error there, with nothing
 * claimed. The work itself may use up the stack: once it is left, the room is there again.
 */
public final class StackRoom {
  // Compiled frames have 40 bytes or more: at least 10 kB. With 3 kB a failed load was seen to stay
  // in the cache, with 5 no more.
  private static final int FRAMES = 256;

  private StackRoom() {}

  /**
   * Returns if there is room.
   *
   * @throws StackOverflowError if there is not
   */
  public static void require() {
    descend(FRAMES, 1, 2, 3, 4);
  }

  /** Uses all its arguments after the call, so that each frame has to keep them. */
  private static long descend(int frames, long a, long b, long c, long d) {
    return frames == 0 ? a : descend(frames - 1, b + 1, c ^ a, d, a) + a + b + c + d;
  }
}
