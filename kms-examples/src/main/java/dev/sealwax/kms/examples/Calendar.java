package dev.sealwax.kms.examples;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;

/** A clock that stands still until it is set, so that an example need not wait for days. */
public final class Calendar extends Clock {
  private volatile Instant now;

  public Calendar(Instant start) {
    this.now = start;
  }

  /** Moves on; for one thread, while any may read. */
  public void advance(Duration time) {
    now = now.plus(time);
  }

  @Override
  public Instant instant() {
    return now;
  }

  @Override
  public ZoneOffset getZone() {
    return ZoneOffset.UTC;
  }

  @Override
  public Clock withZone(ZoneId zone) {
    return Clock.fixed(instant(), zone);
  }
}
