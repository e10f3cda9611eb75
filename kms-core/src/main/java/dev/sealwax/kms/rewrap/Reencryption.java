package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.rewrap.RewrapFailure.Reason;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import dev.sealwax.kms.vocabulary.RewrapException;
import java.io.ByteArrayOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** Re-encrypts records of compromised versions, one at a time. Safe for any thread. */
final class Reencryption {
  /**
   * What became of a record.
   *
   * @param outcome null if it was not replaced because of {@code failure}
   * @param to the version it went to, if it was replaced
   */
  record Result(@Nullable ReplaceOutcome outcome, int to, @Nullable Reason failure) {}

  private final EnvelopeContexts contexts;
  private final Map<KeysetId, EnvelopeCipher> ciphers;
  private final HeaderMove headers;
  private final Patience patience;

  Reencryption(
      EnvelopeContexts contexts,
      Map<KeysetId, EnvelopeCipher> ciphers,
      HeaderMove headers,
      Patience patience) {
    this.contexts = contexts;
    this.ciphers = ciphers;
    this.headers = headers;
    this.patience = patience;
  }

  Result of(WholeEnvelopeSource source, EnvelopeRecord record) {
    EnvelopeInfo claim = EnvelopeInfo.inspect(record.start());
    EnvelopeCipher cipher = Objects.requireNonNull(ciphers.get(claim.keyset()), "cipher");
    Optional<EncryptionContext> told =
        patience.call(
            RewrapException.Reason.SOURCE_UNAVAILABLE,
            "the context of record " + record.id() + " of " + source.identity() + " cannot be told",
            () -> Optional.ofNullable(contexts.of(source, record)));
    if (told.isEmpty()) {
      return new Result(null, 0, Reason.NOT_REENCRYPTED);
    }
    EncryptionContext context = told.get();
    return patience.call(
        RewrapException.Reason.KEYS_UNAVAILABLE,
        "a key version cannot be had",
        () -> {
          Attempt attempt = attempt(source, record, cipher, context);
          KmsException failure = attempt.failure();
          if (failure instanceof DecryptionFailedException
              || failure instanceof MalformedEnvelopeException) {
            return new Result(null, 0, Reason.NOT_REENCRYPTED);
          }
          if (failure instanceof KeyUnavailableException unavailable) {
            return new Result(null, 0, headers.reason(unavailable, claim));
          }
          if (failure != null) {
            throw failure;
          }
          return new Result(attempt.outcome(), attempt.to(), null);
        });
  }

  /**
   * How one call of the source ended.
   *
   * @param outcome null if there is a failure
   * @param to the version of the new envelope, or 0
   * @param failure of the cipher, which is none of the source's
   */
  private record Attempt(
      @Nullable ReplaceOutcome outcome, int to, @Nullable KmsException failure) {}

  private Attempt attempt(
      WholeEnvelopeSource source,
      EnvelopeRecord record,
      EnvelopeCipher cipher,
      EncryptionContext context) {
    return patience.call(
        RewrapException.Reason.SOURCE_UNAVAILABLE,
        source.identity() + " cannot be re-encrypted",
        () -> {
          AtomicInteger to = new AtomicInteger();
          try {
            ReplaceOutcome outcome =
                source.replaceEnvelope(
                    record,
                    (in, out) -> {
                      Start start = new Start(out);
                      cipher.reencrypt(in, start, context);
                      to.set(EnvelopeInfo.inspect(start.bytes()).keyVersion());
                    });
            return new Attempt(outcome, to.get(), null);
          } catch (KmsException e) {
            return new Attempt(null, 0, e);
          }
        });
  }

  /** Passes an envelope on and keeps its start, which says under which version it is. */
  private static final class Start extends FilterOutputStream {
    private final ByteArrayOutputStream kept = new ByteArrayOutputStream();

    Start(OutputStream out) {
      super(out);
    }

    @Override
    public void write(int b) throws IOException {
      write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      out.write(bytes, offset, length);
      kept.write(bytes, offset, Math.min(length, EnvelopeInfo.MAX_HEADER_BYTES - kept.size()));
    }

    byte[] bytes() {
      return kept.toByteArray();
    }
  }
}
