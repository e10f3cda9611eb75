package dev.sealwax.kms.vocabulary;

import java.time.Duration;

/**
 * What a cache has done since it was opened, and what it holds now.
 *
 * @param hits lookups served from memory
 * @param misses lookups that had to load or to wait for a load
 * @param loads loads that succeeded, renewals included
 * @param loadFailures loads that failed and with them the waiting requests
 * @param refreshFailures renewals in the background that failed while the old entry went on serving
 * @param staleServed those of the hits that an entry past its soft and within its hard time to live
 *     served
 * @param outageServed lookups served by an entry past its hard time to live, because an outage kept
 *     it from being loaded anew
 * @param evictions entries dropped for age (kept for an outage or not), size, exhaustion or
 *     revocation, or because all were discarded
 * @param entries entries held now, loads under way among them
 * @param oldestServedAge the greatest age at which an entry has served since the cache was opened;
 *     of an entry before its soft time to live possibly up to a second less
 */
public record CacheStatistics(
    long hits,
    long misses,
    long loads,
    long loadFailures,
    long refreshFailures,
    long staleServed,
    long outageServed,
    long evictions,
    long entries,
    Duration oldestServedAge) {
  /** Hits as a share of all lookups, 0 to 1; 1 when there was none. */
  public double hitRate() {
    long lookups = hits + misses;
    return lookups == 0 ? 1 : (double) hits / lookups;
  }
}
