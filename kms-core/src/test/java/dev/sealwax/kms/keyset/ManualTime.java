package dev.sealwax.kms.keyset;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/** Wall clock and monotonic clock that move only when a test says so. */
public final class ManualTime extends Clock implements LongSupplier {
  public static final Instant START = Instant.parse("2030-01-01T00:00:00Z");

  // Not 0, and near the overflow of a long: monotonic clocks may start anywhere.
  private static final long ORIGIN = Long.MAX_VALUE - 1_000_000;
  private final AtomicLong elapsedNanos = new AtomicLong();
  private final AtomicLong steppedNanos = new AtomicLong();
  private volatile Runnable onRead = () -> {};

  /** What else happens at the moment at which somebody looks at the monotonic clock. */
  public void onRead(Runnable event) {
    onRead = event;
  }

  public void advance(Duration by) {
    elapsedNanos.addAndGet(by.toNanos());
  }

  /** Sets the wall clock forwards or backwards, as an administrator or NTP would. */
  void step(Duration by) {
    steppedNanos.addAndGet(by.toNanos());
  }

  /** The clock of another machine, which differs by so much. */
  Clock skewed(Duration by) {
    return Clock.offset(this, by);
  }

  @Override
  public long getAsLong() {
    onRead.run();
    return ORIGIN + elapsedNanos.get();
  }

  @Override
  public Instant instant() {
    return START.plusNanos(elapsedNanos.get() + steppedNanos.get());
  }

  @Override
  public ZoneId getZone() {
    return ZoneOffset.UTC;
  }

  @Override
  public Clock withZone(ZoneId zone) {
    throw new UnsupportedOperationException();
  }
}
