package dev.sealwax.kms.store;

import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.time.Duration;
import java.util.Objects;
import java.util.Set;

/**
 * A store that can tell cheaply which keysets were written since a position in its history.
 *
 * <p>For whoever keeps many keysets in memory: take a {@link #position}, read the keysets, and from
 * then on ask for {@link #changesAfter} now and then, going on from the position it returns. {@link
 * #awaitWrite} makes "now and then" shorter where the store can push; it is no promise, so keep
 * asking without it. {@code WatchableKeysetStoreContract} in the test-jar tests an implementation.
 */
public interface WatchableKeysetStore extends KeysetStore {
  /**
   * The end of the history now: every write that was durable when this call began is before it.
   *
   * @throws KeysetStoreException if the store cannot be read
   */
  Position position();

  /**
   * What was written after a position, by any process. No write is ever left out: what this call
   * does not name is found by a later one from the returned position. A keyset may be named though
   * it did not change since.
   *
   * <p>Costs little when nothing was written, and does not depend on the number of keysets that
   * were not.
   *
   * @param since a position of this store or of another process's; any other is answered by an
   *     incomplete result and never by an exception
   * @throws KeysetStoreException if the store cannot be read; the position stays good
   */
  Changes changesAfter(Position since);

  /**
   * Waits until the store is told of a write by somebody, or until the timeout; may return early
   * for no reason. Where the store has no push, a plain wait that only this object's own writes end
   * early. A write between two calls ends the second at once, unless another thread, waiting for
   * the same object, was told instead.
   *
   * @throws IllegalArgumentException if the timeout is negative
   * @throws InterruptedException if the thread is interrupted before or while waiting
   * @throws IllegalStateException if the store is closed, or becomes so while waiting
   */
  void awaitWrite(Duration timeout) throws InterruptedException;

  /**
   * A place between two writes in the history of a store; opaque, but may be kept and compared for
   * equality.
   *
   * @param value what the store that made it needs to find the place again
   */
  record Position(String value) {
    public Position {
      Objects.requireNonNull(value, "position");
    }
  }

  /**
   * What was written after a position.
   *
   * @param position where to go on; everything in this result is before it
   * @param complete false if the history does not reach back to the position asked for (it was
   *     pruned, the store was restored or lost its last writes, or it is another store): treat
   *     every keyset as written
   * @param written the keysets; immutable
   */
  record Changes(Position position, boolean complete, Set<KeysetId> written) {
    public Changes {
      Objects.requireNonNull(position, "position");
      written = Set.copyOf(Objects.requireNonNull(written, "written"));
    }
  }
}
