package dev.sealwax.kms.keyset;

/** Hears what a {@link KeysetScheduler} does. Called by one thread at a time. */
@FunctionalInterface
public interface SchedulerListener {
  /**
   * Something was done, missed, or failed. Be quick: the next keyset waits. What this throws is
   * logged and ignored.
   */
  void onChange(ScheduledChange change);
}
