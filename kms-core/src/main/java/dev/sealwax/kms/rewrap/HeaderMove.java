package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.rewrap.RewrapFailure.Reason;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import dev.sealwax.kms.vocabulary.RewrapException;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What is to be done with a record, decided by its header. What the header claims is believed only
 * after its data key has been unwrapped and its commitment checked. Safe for any thread.
 */
final class HeaderMove {
  /** What is to be done. */
  enum Kind {
    /** Nothing: there is no value. */
    NO_VALUE,
    /** Nothing: it names a keyset that the job is not about. */
    OTHER_KEYSET,
    /** Nothing: its header is verified and under the primary. */
    ALREADY_THERE,
    /** Its header is verified, and the new one is ready. */
    MOVE,
    /** It cannot be moved. */
    FAILED
  }

  /**
   * A decision.
   *
   * @param keyset the keyset, unless there is none or it is another
   * @param from the version it is under, or 0 if that is none of the keyset's
   * @param to the version it goes to, or 0
   */
  record Decision(
      Kind kind,
      @Nullable KeysetId keyset,
      int from,
      int to,
      @Nullable HeaderChange change,
      @Nullable Reason reason) {
    static Decision of(Kind kind) {
      return new Decision(kind, null, 0, 0, null, null);
    }

    static Decision failed(Reason reason) {
      return new Decision(Kind.FAILED, null, 0, 0, null, reason);
    }
  }

  private static final Decision NO_VALUE = Decision.of(Kind.NO_VALUE);
  private static final Decision OTHER_KEYSET = Decision.of(Kind.OTHER_KEYSET);

  private final Map<KeysetId, EnvelopeCipher> ciphers;
  private final Map<KeysetId, Integer> primaries;

  HeaderMove(Map<KeysetId, EnvelopeCipher> ciphers, Map<KeysetId, Integer> primaries) {
    this.ciphers = ciphers;
    this.primaries = primaries;
  }

  /**
   * Decides about one record. Whatever is not the record's fault is thrown: a root key or a store
   * that fails, a primary that may not be used.
   */
  Decision decide(EnvelopeRecord record) {
    switch (record.content()) {
      case NONE -> {
        return NO_VALUE;
      }
      case UNREADABLE -> {
        return Decision.failed(Reason.UNREADABLE);
      }
      case BYTES -> {}
    }
    EnvelopeInfo claim;
    try {
      claim = EnvelopeInfo.inspect(record.start());
    } catch (MalformedEnvelopeException e) {
      return Decision.failed(Reason.NOT_AN_ENVELOPE);
    }
    EnvelopeCipher cipher = ciphers.get(claim.keyset());
    if (cipher == null) {
      return OTHER_KEYSET;
    }
    try {
      byte[] moved = cipher.rewrapHeader(record.start());
      if (Arrays.equals(
          moved,
          0,
          moved.length,
          record.start(),
          0,
          Math.min(moved.length, record.start().length))) {
        return new Decision(
            Kind.ALREADY_THERE, claim.keyset(), claim.keyVersion(), claim.keyVersion(), null, null);
      }
      int to = EnvelopeInfo.inspect(moved).keyVersion();
      return new Decision(
          Kind.MOVE, claim.keyset(), claim.keyVersion(), to, new HeaderChange(record, moved), null);
    } catch (DecryptionFailedException e) {
      return failed(Reason.NOT_AUTHENTIC, claim);
    } catch (KeyUnavailableException e) {
      return failed(reason(e, claim), claim);
    }
  }

  /** Why the record of that header cannot be had, thrown if it is the primary that cannot. */
  Reason reason(KeyUnavailableException e, EnvelopeInfo claim) {
    Integer primary = primaries.get(claim.keyset());
    if (e.version() != claim.keyVersion() || (primary != null && primary == e.version())) {
      // The version to move to: true of every record, so it must not be said of each.
      throw new RewrapException(
          RewrapException.Reason.KEYS_UNAVAILABLE, "the primary may not be used, see the cause", e);
    }
    return switch (e.reason()) {
      case COMPROMISED -> Reason.NEEDS_REENCRYPT;
      case DISABLED -> Reason.VERSION_DISABLED;
      case EXPIRED -> Reason.VERSION_EXPIRED;
      case DESTRUCTION_SCHEDULED -> Reason.VERSION_DESTRUCTION_SCHEDULED;
      case DESTROYED -> Reason.VERSION_DESTROYED;
      case UNKNOWN_VERSION -> Reason.VERSION_UNKNOWN;
      case OTHER_KEYSET, PENDING -> throw new AssertionError(e);
    };
  }

  private static Decision failed(Reason reason, EnvelopeInfo claim) {
    int version = reason == Reason.VERSION_UNKNOWN ? 0 : claim.keyVersion();
    return new Decision(Kind.FAILED, claim.keyset(), version, 0, null, reason);
  }
}
