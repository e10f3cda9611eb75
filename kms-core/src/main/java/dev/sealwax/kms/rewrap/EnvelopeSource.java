package dev.sealwax.kms.rewrap;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * A place that holds envelopes: what a {@link Rewrapper} walks through. {@link JdbcEnvelopeSource}
 * and {@link DirectoryEnvelopeSource} are two; others implement this.
 *
 * <p><b>Order.</b> Each record has an id, and ids have an order that does not change while a job
 * lasts, restarts included. An id is also the position behind that record: a scan goes on after it,
 * whether or not the record is still there. Records that appear behind the scan are not seen by it.
 *
 * <p><b>Threads.</b> {@link #scan} is never called twice at once. {@link #replaceHeaders} and
 * {@link #read} are, for different records, and while a scan goes on.
 *
 * <p><b>Failures.</b> A method throws {@link IOException} when the place as a whole fails in a way
 * that may pass; the call is repeated with growing pauses, and when that does not help the job
 * stops and can be resumed. Any other exception stops the job at once. What concerns one record
 * only is told by {@link EnvelopeRecord#unreadable} and {@link ReplaceOutcome} and stops nothing.
 */
public interface EnvelopeSource extends AutoCloseable {
  /**
   * Names the place, always the same, and different for different places: it ties a checkpoint to
   * its source. Goes into reports and messages, so it must hold no password.
   */
  String identity();

  /** About how many records there are, if that can be said cheaply; used to estimate time only. */
  OptionalLong size() throws IOException;

  /**
   * The next records in the order of their ids.
   *
   * @param after the id of a record that was returned before, or null to start
   * @param limit most records to return, at least 1
   * @return at least one record unless the end is reached; records without an envelope included
   */
  List<EnvelopeRecord> scan(@Nullable String after, int limit) throws IOException;

  /** Reads one record anew, or nothing if it is gone. */
  Optional<EnvelopeRecord> read(String id) throws IOException;

  /**
   * Replaces the headers of some records, each by compare-and-set: only where the stored envelope
   * still starts with the old header, and without touching what follows it. Neither here nor after
   * a crash in here may a record be left with anything but its old or its new header, nor may a
   * concurrent write of the application be lost.
   *
   * <p>Durable when the call returns. If it throws, some of the records may have been replaced.
   *
   * @param changes different records of this source in the order of their ids, at least one
   * @return what became of each, in the order of {@code changes}
   */
  List<ReplaceOutcome> replaceHeaders(List<HeaderChange> changes) throws IOException;

  /** Gives back connections and locks. */
  @Override
  void close() throws IOException;
}
