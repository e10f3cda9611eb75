package dev.sealwax.kms.envelope;

import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.keyset.Background;
import dev.sealwax.kms.keyset.OpenKeysets;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsListener;
import java.security.SecureRandom;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The ciphers of one process with the data keys they share; what {@code Kms} is made of on this
 * floor. Safe for concurrent use.
 */
public final class EnvelopeCiphers implements AutoCloseable {
  private final OpenKeysets keysets;
  private final DataKeyPolicy policy;
  private final Announcer announcer;
  private final DataKeys dataKeys;
  private final Traffic traffic = new Traffic();
  private final ConcurrentHashMap<KeysetId, EnvelopeCipher> ciphers = new ConcurrentHashMap<>();

  /**
   * Joins the parts; none of them is closed with this.
   *
   * @param listener told of every operation, or null
   */
  public EnvelopeCiphers(
      OpenKeysets keysets,
      DataKeyPolicy policy,
      Background background,
      SecureRandom random,
      @Nullable KmsListener listener) {
    this.keysets = keysets;
    this.policy = policy;
    this.announcer = new Announcer(listener);
    this.dataKeys = new DataKeys(policy, background, random, traffic);
  }

  /**
   * The cipher of a keyset, always the same object; the keyset is not looked at before the first
   * operation.
   */
  public EnvelopeCipher cipher(KeysetId id) {
    EnvelopeCipher cipher = ciphers.get(id);
    return cipher != null ? cipher : ciphers.computeIfAbsent(id, this::make);
  }

  private EnvelopeCipher make(KeysetId id) {
    var keyset = keysets.open(id);
    var atHand = dataKeys.keysAtHand();
    var sealing = new SealingPath(keyset, dataKeys, atHand, policy, traffic, announcer);
    var opening = new OpeningPath(keyset, dataKeys, atHand, traffic, announcer);
    return new EnvelopeCipher(
        sealing,
        opening,
        new RewrapPath(keyset, dataKeys, traffic, announcer),
        new ReencryptPath(keyset, dataKeys, traffic, announcer, opening, sealing));
  }

  /** What the ciphers have done so far. */
  public EnvelopeStatistics statistics() {
    return new EnvelopeStatistics(
        traffic.encrypted(),
        traffic.encryptedBytes(),
        traffic.decrypted(),
        traffic.decryptedBytes(),
        traffic.rewrapped.sum(),
        traffic.failures.sum(),
        traffic.abandoned.sum(),
        dataKeys.encryptStatistics(),
        dataKeys.decryptStatistics());
  }

  /** Drops and wipes every data key; the next operations make and unwrap new ones. */
  public void discardDataKeys() {
    dataKeys.clear();
  }

  /** Wipes every data key; later operations fail. */
  @Override
  public void close() {
    dataKeys.close();
  }
}
