package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.keyset.VersionUse;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
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
 * <p>Goes by what headers claim: a forged one can keep a version from being destroyed, and nothing
 * that could be forged lets one go.
 */
final class InventoryUse implements VersionUse {
  private static final Logger LOG = LoggerFactory.getLogger(InventoryUse.class);

  /** For so long a scan that found data is not repeated; the next look of a scheduler is soon. */
  static final long REFUSAL_NANOS = TimeUnit.HOURS.toNanos(1);

  private final Inventory inventory;
  private final Inventory.Sources sources;
  private final LongSupplier nanoClock;
  private final ReentrantLock scanning = new ReentrantLock();
  private @Nullable InventoryReport last; // guarded by scanning
  private long lastNanos; // guarded by scanning

  InventoryUse(Inventory inventory, Inventory.Sources sources, LongSupplier nanoClock) {
    this.inventory = inventory;
    this.sources = sources;
    this.nanoClock = nanoClock;
  }

  @Override
  public Answer of(KeysetId keyset, int version) {
    scanning.lock();
    try {
      InventoryReport known = last;
      if (known != null && nanoClock.getAsLong() - lastNanos < REFUSAL_NANOS) {
        Answer answer = answer(known, keyset, version);
        // That nothing was found is true of the moment of the scan only.
        if (answer != Answer.UNUSED) {
          return answer;
        }
      }
      last = null;
      InventoryReport report = scan();
      last = report;
      lastNanos = nanoClock.getAsLong();
      return answer(report, keyset, version);
    } catch (IOException | RuntimeException e) {
      LOG.warn("whether data is under keyset {} version {} cannot be told", keyset, version, e);
      return Answer.UNKNOWN;
    } finally {
      scanning.unlock();
    }
  }

  private static Answer answer(InventoryReport report, KeysetId keyset, int version) {
    if (report.rows().stream()
        .anyMatch(row -> row.keyset().equals(keyset) && row.version() == version)) {
      return Answer.IN_USE;
    }
    // Something that cannot be read, or was not kept apart, may be under any version.
    return report.noEnvelopes() > 0 || report.beyondTheTable() > 0 ? Answer.UNKNOWN : Answer.UNUSED;
  }

  private InventoryReport scan() throws IOException {
    List<EnvelopeSource> opened = new ArrayList<>(sources.open());
    if (opened.isEmpty()) {
      throw new IOException("there are no sources to look into");
    }
    IOException notClosed = null;
    try {
      return inventory.count(Collections.unmodifiableList(opened));
    } finally {
      for (EnvelopeSource source : opened) {
        try {
          source.close();
        } catch (IOException e) {
          notClosed = e;
        }
      }
      if (notClosed != null) {
        LOG.debug("a source was read and cannot be closed", notClosed);
      }
    }
  }
}
