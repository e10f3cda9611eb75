package dev.sealwax.kms.store;

import dev.sealwax.kms.guard.GuardedCalls;
import dev.sealwax.kms.guard.Task;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.time.Duration;
import java.util.Objects;

/** A {@link ResilientKeysetStore} around one that tells what was written. */
final class GuardedWatchableStore extends GuardedKeysetStore implements WatchableKeysetStore {
  private final WatchableKeysetStore target;

  GuardedWatchableStore(WatchableKeysetStore target, GuardedCalls<Reason> calls) {
    super(target, calls);
    this.target = target;
  }

  @Override
  public Position position() {
    return calls().callOnce(() -> Task.of(target::position));
  }

  /** Not repeated: who asks does so again at the next interval. */
  @Override
  public Changes changesAfter(Position since) {
    Objects.requireNonNull(since, "position");
    return calls().callOnce(() -> Task.of(() -> target.changesAfter(since)));
  }

  /** Waits as long as it is told to, so it takes no place and no thread of a call. */
  @Override
  public void awaitWrite(Duration timeout) throws InterruptedException {
    target.awaitWrite(timeout);
  }
}
