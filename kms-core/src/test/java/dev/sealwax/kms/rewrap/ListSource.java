package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.envelope.EnvelopeInfo;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** Records in memory, with hooks where a test puts what goes wrong. */
final class ListSource implements WholeEnvelopeSource {
  /** Something that happens in the middle. */
  interface Hook {
    void run() throws IOException;
  }

  static final byte[] NO_VALUE = {};

  final ConcurrentSkipListMap<String, byte[]> records = new ConcurrentSkipListMap<>();
  final AtomicInteger writes = new AtomicInteger();
  final List<Integer> pages = new ArrayList<>();
  String identity = "list";
  volatile Hook beforeScan = () -> {};
  volatile Hook beforeReplace = () -> {};
  volatile @Nullable String refused;

  ListSource with(String id, byte[] envelope) {
    records.put(id, envelope);
    return this;
  }

  @Override
  public String identity() {
    return identity;
  }

  @Override
  public OptionalLong size() {
    return OptionalLong.of(records.size());
  }

  @Override
  public List<EnvelopeRecord> scan(@Nullable String after, int limit) throws IOException {
    beforeScan.run();
    List<EnvelopeRecord> page =
        (after == null ? records : records.tailMap(after, false))
            .entrySet().stream()
                .limit(limit)
                .map(entry -> record(entry.getKey(), entry.getValue()))
                .toList();
    pages.add(page.size());
    return page;
  }

  private static EnvelopeRecord record(String id, byte[] envelope) {
    return envelope == NO_VALUE
        ? EnvelopeRecord.none(id)
        : EnvelopeRecord.of(
            id, Arrays.copyOf(envelope, Math.min(envelope.length, EnvelopeInfo.MAX_HEADER_BYTES)));
  }

  @Override
  public Optional<EnvelopeRecord> read(String id) {
    return Optional.ofNullable(records.get(id)).map(envelope -> record(id, envelope));
  }

  @Override
  public List<ReplaceOutcome> replaceHeaders(List<HeaderChange> changes) throws IOException {
    beforeReplace.run();
    return changes.stream().map(this::replace).toList();
  }

  private ReplaceOutcome replace(HeaderChange change) {
    String id = change.record().id();
    byte[] now = records.get(id);
    if (now == null) {
      return ReplaceOutcome.GONE;
    }
    if (id.equals(refused)) {
      return ReplaceOutcome.REFUSED;
    }
    int header = change.newHeader().length;
    if (!change.record().startsLike(now, header)) {
      return ReplaceOutcome.CHANGED_MEANWHILE;
    }
    byte[] next = now.clone();
    System.arraycopy(change.newHeader(), 0, next, 0, header);
    writes.incrementAndGet();
    return records.replace(id, now, next)
        ? ReplaceOutcome.REPLACED
        : ReplaceOutcome.CHANGED_MEANWHILE;
  }

  @Override
  public ReplaceOutcome replaceEnvelope(EnvelopeRecord record, Replacement replacement)
      throws IOException {
    String id = record.id();
    byte[] now = records.get(id);
    if (now == null) {
      return ReplaceOutcome.GONE;
    }
    if (!record.hasHeaderOf(now)) {
      return ReplaceOutcome.CHANGED_MEANWHILE;
    }
    ByteArrayOutputStream next = new ByteArrayOutputStream();
    replacement.write(new ByteArrayInputStream(now), next);
    beforeReplace.run();
    if (id.equals(refused)) {
      return ReplaceOutcome.REFUSED;
    }
    return records.replace(id, now, next.toByteArray())
        ? ReplaceOutcome.REPLACED
        : ReplaceOutcome.CHANGED_MEANWHILE;
  }

  int version(String id) {
    return EnvelopeInfo.inspect(records.get(id)).keyVersion();
  }

  @Override
  public void close() {}
}
