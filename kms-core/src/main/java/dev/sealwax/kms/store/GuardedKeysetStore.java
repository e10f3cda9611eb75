package dev.sealwax.kms.store;

import dev.sealwax.kms.guard.GuardTiming;
import dev.sealwax.kms.guard.GuardedCalls;
import dev.sealwax.kms.guard.Task;
import dev.sealwax.kms.vocabulary.GuardHealth;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/** A {@link ResilientKeysetStore} around one that need not tell what was written. */
sealed class GuardedKeysetStore implements ResilientKeysetStore permits GuardedWatchableStore {
  private final KeysetStore target;
  private final GuardedCalls<Reason> calls;
  private final AtomicBoolean closed = new AtomicBoolean();

  GuardedKeysetStore(KeysetStore target, GuardedCalls<Reason> calls) {
    this.target = target;
    this.calls = calls;
  }

  static ResilientKeysetStore around(KeysetStore store, GuardPolicy policy, GuardTiming timing) {
    Objects.requireNonNull(store, "store");
    GuardedCalls<Reason> calls =
        new GuardedCalls<>(
            "keyset store",
            Objects.requireNonNull(policy, "policy"),
            timing,
            KeysetStoreOutages.INSTANCE);
    return store instanceof WatchableKeysetStore watchable
        ? new GuardedWatchableStore(watchable, calls)
        : new GuardedKeysetStore(store, calls);
  }

  final GuardedCalls<Reason> calls() {
    return calls;
  }

  @Override
  public final Optional<StoredKeyset> load(KeysetId id) {
    Objects.requireNonNull(id, "keyset");
    return calls.call(() -> Task.of(() -> target.load(id)));
  }

  @Override
  public final void create(StoredKeyset first) {
    Objects.requireNonNull(first, "keyset");
    calls.callOnce(() -> Task.of(() -> done(() -> target.create(first))));
  }

  @Override
  public final void replace(StoredKeyset next) {
    Objects.requireNonNull(next, "keyset");
    calls.callOnce(() -> Task.of(() -> done(() -> target.replace(next))));
  }

  /** A write has no result, and a call has one. */
  private static Boolean done(Runnable write) {
    write.run();
    return true;
  }

  @Override
  public final List<KeysetId> list(int limit) {
    return calls.call(() -> Task.of(() -> target.list(limit)));
  }

  @Override
  public final List<KeysetId> listAfter(KeysetId after, int limit) {
    Objects.requireNonNull(after, "after");
    return calls.call(() -> Task.of(() -> target.listAfter(after, limit)));
  }

  /** Not a call across a network, so it needs no guard. */
  @Override
  public final int maxDocumentChars() {
    return target.maxDocumentChars();
  }

  @Override
  public final GuardHealth<Reason> health() {
    return calls.health();
  }

  @Override
  public final void close() {
    if (!closed.getAndSet(true)) {
      calls.close();
      target.close();
    }
  }

  @Override
  public final String toString() {
    return "ResilientKeysetStore[" + target + ", circuit " + health().circuit() + "]";
  }
}
