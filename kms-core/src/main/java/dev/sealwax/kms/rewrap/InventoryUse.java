package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.keyset.VersionUse;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An inventory that answers whether a version may go. One scan at a time; safe for any thread.
 *
 * <p>A header that names the version keeps it, and so does one that names another and does not
 * unwrap: nothing that could be forged or damaged lets a version go.
 */
final class InventoryUse implements VersionUse {
  private static final Logger LOG = LoggerFactory.getLogger(InventoryUse.class);

  /** For so long a scan that found a reason to refuse is not repeated. */
  static final long REFUSAL_NANOS = TimeUnit.HOURS.toNanos(1);

  private final Inventory inventory;
  private final Inventory.Sources sources;
  private final LongSupplier nanoClock;
  private final ReentrantLock scanning = new ReentrantLock();
  private boolean scanned; // guarded by scanning
  private @Nullable InventoryReport last; // guarded by scanning
  private long lastNanos; // guarded by scanning

  InventoryUse(Inventory inventory, Inventory.Sources sources, LongSupplier nanoClock) {
    this.inventory = inventory;
    this.sources = sources;
    this.nanoClock = nanoClock;
  }

  @Override
  public Answer of(KeysetId keyset, int version) {
    if (!inventory.verifies(keyset)) {
      return Answer.UNKNOWN;
    }
    scanning.lock();
    try {
      if (scanned && nanoClock.getAsLong() - lastNanos < REFUSAL_NANOS) {
        Answer answer = answer(last, keyset, version);
        // That nothing was found is true of the moment of the scan only.
        if (answer != Answer.UNUSED) {
          return answer;
        }
      }
      last = scan();
      lastNanos = nanoClock.getAsLong();
      scanned = true;
      return answer(last, keyset, version);
    } finally {
      scanning.unlock();
    }
  }

  private static Answer answer(@Nullable InventoryReport report, KeysetId keyset, int version) {
    if (report == null) {
      return Answer.UNKNOWN;
    }
    boolean unverified = false;
    for (InventoryReport.Row row : report.rows()) {
      if (row.keyset().equals(keyset) && row.version() == version) {
        return Answer.IN_USE;
      }
      unverified |= row.claimed() != row.verified();
    }
    // What cannot be read or does not unwrap may be under any version, whatever it claims.
    return unverified
            || report.noEnvelopes() > 0
            || report.beyondTheTable() > 0
            || report.emptySources() > 0
        ? Answer.UNKNOWN
        : Answer.UNUSED;
  }

  /** Null if not everything could be looked at. */
  private @Nullable InventoryReport scan() {
    List<EnvelopeSource> opened = List.of();
    try {
      opened = List.copyOf(sources.open());
      return opened.isEmpty() ? null : inventory.count(opened);
    } catch (IOException | RuntimeException e) {
      // Not its message, which can hold the name of a record.
      LOG.warn("what the data needs cannot be told: {}", e.getClass().getName());
      return null;
    } finally {
      opened.forEach(InventoryUse::close);
    }
  }

  private static void close(EnvelopeSource source) {
    try {
      source.close();
    } catch (IOException | RuntimeException e) {
      LOG.debug("a source was read and cannot be closed: {}", e.getClass().getName());
    }
  }
}
