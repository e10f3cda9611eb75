package dev.sealwax.kms.cache;

import dev.sealwax.kms.vocabulary.CacheStatistics;
import java.time.Duration;
import java.util.concurrent.atomic.LongAccumulator;
import java.util.concurrent.atomic.LongAdder;

/** What a {@link KeyCache} has done. Safe for concurrent use. */
final class CacheCounts {
  final LongAdder hits = new LongAdder();
  final LongAdder misses = new LongAdder();
  final LongAdder loads = new LongAdder();
  final LongAdder loadFailures = new LongAdder();
  final LongAdder refreshFailures = new LongAdder();
  final LongAdder staleServed = new LongAdder();
  final LongAdder evictions = new LongAdder();
  private final LongAdder outageServed = new LongAdder();
  // Written only when it grows, so that hits do not contend for it.
  private final LongAccumulator oldestServedNanos = new LongAccumulator(Math::max, 0);

  /** An entry of this age was in memory and within its hard time to live. */
  void hit(long ageNanos) {
    served(ageNanos);
    hits.increment();
  }

  /** An entry of this age, past its time, took the place of one that could not be loaded. */
  void servedInOutage(long ageNanos) {
    served(ageNanos);
    outageServed.increment();
  }

  private void served(long ageNanos) {
    oldestServedNanos.accumulate(ageNanos);
  }

  CacheStatistics statistics(long hitsBeside, long entries) {
    return new CacheStatistics(
        hits.sum() + hitsBeside,
        misses.sum(),
        loads.sum(),
        loadFailures.sum(),
        refreshFailures.sum(),
        staleServed.sum(),
        outageServed.sum(),
        evictions.sum(),
        entries,
        Duration.ofNanos(oldestServedNanos.get()));
  }
}
