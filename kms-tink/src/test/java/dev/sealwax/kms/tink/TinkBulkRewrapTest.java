package dev.sealwax.kms.tink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.crypto.tink.aead.KmsEnvelopeAead;
import com.google.crypto.tink.aead.PredefinedAeadParameters;
import dev.sealwax.kms.rewrap.EnvelopeRecord;
import dev.sealwax.kms.rewrap.EnvelopeSource;
import dev.sealwax.kms.rewrap.HeaderChange;
import dev.sealwax.kms.rewrap.ReplaceOutcome;
import dev.sealwax.kms.rewrap.RewrapReport;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentSkipListMap;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * A bulk rewrap walks re-homed ciphertexts like any envelopes, if the source shows it what follows
 * the four bytes of the length.
 */
final class TinkBulkRewrapTest {
  private static final int LENGTH_BYTES = 4;

  /** Ciphertexts by id, in memory. */
  private static final class Ciphertexts implements EnvelopeSource {
    final ConcurrentSkipListMap<String, byte[]> byId = new ConcurrentSkipListMap<>();

    @Override
    public String identity() {
      return "ciphertexts";
    }

    @Override
    public OptionalLong size() {
      return OptionalLong.of(byId.size());
    }

    @Override
    public List<EnvelopeRecord> scan(@Nullable String after, int limit) {
      return (after == null ? byId : byId.tailMap(after, false))
          .keySet().stream().limit(limit).map(id -> read(id).orElseThrow()).toList();
    }

    @Override
    public Optional<EnvelopeRecord> read(String id) {
      return Optional.ofNullable(byId.get(id))
          .map(c -> EnvelopeRecord.of(id, Arrays.copyOfRange(c, LENGTH_BYTES, c.length)));
    }

    @Override
    public List<ReplaceOutcome> replaceHeaders(List<HeaderChange> changes) {
      return changes.stream().map(this::replaceHeader).toList();
    }

    private ReplaceOutcome replaceHeader(HeaderChange change) {
      byte[] now = byId.get(change.record().id());
      if (now == null) {
        return ReplaceOutcome.GONE;
      }
      byte[] old = change.oldHeader();
      if (!Arrays.equals(old, 0, old.length, now, LENGTH_BYTES, LENGTH_BYTES + old.length)) {
        return ReplaceOutcome.CHANGED_MEANWHILE;
      }
      byte[] next = now.clone();
      System.arraycopy(change.newHeader(), 0, next, LENGTH_BYTES, old.length);
      return byId.replace(change.record().id(), now, next)
          ? ReplaceOutcome.REPLACED
          : ReplaceOutcome.CHANGED_MEANWHILE;
    }

    @Override
    public void close() {}
  }

  @Test
  void rehomedCiphertexts_areMovedByABulkRewrap() throws Exception {
    try (TinkRig rig = new TinkRig();
        Ciphertexts ciphertexts = new Ciphertexts()) {
      TinkEnvelopes envelopes = TinkEnvelopes.of(PredefinedAeadParameters.AES128_GCM, rig.cipher);
      for (int i = 0; i < 50; i++) {
        byte[] row = ByteBuffer.allocate(4).putInt(i).array();
        ciphertexts.byId.put("row " + i, envelopes.encrypt(row, row));
      }
      rig.kms.keysets().rotate(TinkRig.NAME);

      RewrapReport report = rig.kms.rewrapper(TinkRig.NAME).source(ciphertexts).build().run();

      assertEquals(50, report.counts().moved());
      assertEquals(0, report.counts().failed());
      rig.kms.keysets().disable(TinkRig.NAME, 1);
      for (int i = 0; i < 50; i++) {
        byte[] row = ByteBuffer.allocate(4).putInt(i).array();
        byte[] moved = ciphertexts.byId.get("row " + i);
        assertEquals(2, TinkEnvelopes.inspect(moved).orElseThrow().keyVersion());
        assertArrayEquals(
            row,
            KmsEnvelopeAead.create(PredefinedAeadParameters.AES128_GCM, SealwaxAead.of(rig.cipher))
                .decrypt(moved, row));
      }
    }
  }
}
