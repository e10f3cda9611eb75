package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.keyset.VersionUse;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/**
 * Counts records by the keyset and version in their headers. Without ciphers those are claims that
 * nobody has checked, which is enough to plan with and costs no key; with ciphers it is counted how
 * many of them are verified as well. What may be destroyed is decided by {@link
 * RewrapReport#mayDestroy}, and by {@link #asVersionUse} of an inventory that verifies. When a
 * record was encrypted is not in its header, so an inventory knows no dates. Immutable; safe for
 * any thread.
 */
public final class Inventory {
  private static final int PAGE = 1000;

  private final Map<KeysetId, EnvelopeCipher> ciphers;

  private Inventory(List<EnvelopeCipher> ciphers) {
    Objects.requireNonNull(ciphers, "ciphers");
    Map<KeysetId, EnvelopeCipher> byName = new TreeMap<>();
    ciphers.forEach(cipher -> byName.put(cipher.keyset(), cipher));
    this.ciphers = byName;
  }

  /** An inventory of what headers claim. */
  public static Inventory ofClaims() {
    return new Inventory(List.of());
  }

  /** An inventory that verifies the headers of the keysets of these ciphers. */
  public static Inventory verifiedBy(List<EnvelopeCipher> ciphers) {
    return new Inventory(ciphers);
  }

  /**
   * Counts the records of some sources, which stay the caller's to close. Takes as long as reading
   * them takes, and starts over after an interruption.
   *
   * @throws IOException if a source fails
   * @throws dev.sealwax.kms.vocabulary.KmsException if it verifies, and keys cannot be had
   */
  public InventoryReport count(List<EnvelopeSource> sources) throws IOException {
    Objects.requireNonNull(sources, "sources");
    InventoryCount count = new InventoryCount();
    for (EnvelopeSource source : sources) {
      List<EnvelopeRecord> page = source.scan(null, PAGE);
      if (page.isEmpty()) {
        count.emptySource();
      }
      while (!page.isEmpty()) {
        page.forEach(record -> add(record, count));
        page = source.scan(page.get(page.size() - 1).id(), PAGE);
      }
    }
    return count.report();
  }

  /** Opens the places that hold all envelopes of some keysets. */
  @FunctionalInterface
  public interface Sources {
    /**
     * New sources, at least one; whoever asked closes them.
     *
     * @throws IOException if one of them cannot be opened
     */
    List<EnvelopeSource> open() throws IOException;
  }

  /**
   * Lets this inventory decide whether a version may be scheduled for destruction and destroyed,
   * for {@code Keysets} and the scheduler.
   *
   * <p>Each question is a scan of all sources. A version is in use if any header names it. It is
   * unused only if everything else was verified: if a source fails or has no record at all, if a
   * record cannot be read or is no envelope, if a header names another version or keyset and does
   * not unwrap, or if this inventory has no cipher of the keyset, it is not known, which counts as
   * in use. So a header that was damaged or forged can keep a version, and never lets one go.
   * Headers of versions that are switched off do not unwrap either: begin with the version that
   * nothing else waits for, or override with a reason.
   *
   * <p>Anything but "unused" is believed for an hour, so that a scheduler does not scan once a
   * minute; after a rewrap, ask by a new object. A scan sees what is stored. Writers that have not
   * heard of the newer primary yet are the {@linkplain dev.sealwax.kms.keyset.KeysetTemplate quiet
   * period's} to guard against, and what a directory holds behind symbolic links is not looked at.
   *
   * @param sources everything that can hold envelopes of the keysets in question: what it leaves
   *     out is lost with the version
   * @return safe for any thread
   * @throws IllegalStateException if this inventory counts claims only
   */
  public VersionUse asVersionUse(Sources sources) {
    Objects.requireNonNull(sources, "sources");
    if (ciphers.isEmpty()) {
      throw new IllegalStateException("claims that nobody verifies prove nothing unused");
    }
    return new InventoryUse(this, sources, System::nanoTime);
  }

  boolean verifies(KeysetId keyset) {
    return ciphers.containsKey(keyset);
  }

  private void add(EnvelopeRecord record, InventoryCount count) {
    if (record.content() == EnvelopeRecord.Content.NONE) {
      count.withoutValue();
      return;
    }
    EnvelopeInfo claim;
    try {
      claim = EnvelopeInfo.inspect(record.start());
    } catch (MalformedEnvelopeException e) {
      count.noEnvelope();
      return;
    }
    if (isAuthentic(record, claim)) {
      count.verified(claim.keyset(), claim.keyVersion());
    } else {
      count.claimed(claim.keyset(), claim.keyVersion());
    }
  }

  private boolean isAuthentic(EnvelopeRecord record, EnvelopeInfo claim) {
    EnvelopeCipher cipher = ciphers.get(claim.keyset());
    if (cipher == null) {
      return false;
    }
    try {
      cipher.rewrapHeader(record.start());
      return true;
    } catch (DecryptionFailedException | KeyUnavailableException e) {
      return false;
    }
  }
}
