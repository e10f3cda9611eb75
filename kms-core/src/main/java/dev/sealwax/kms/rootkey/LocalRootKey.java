package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;

import dev.sealwax.kms.crypto.Hkdf;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A root key in a file with owner-only permissions, sealed by a passphrase or by a key of the host.
 *
 * <p><strong>This is protection by software only.</strong> It guards a stolen disk, backup or copy
 * of the file, as far as the passphrase or sealing key is good and kept elsewhere. It does
 * <em>not</em> guard against:
 *
 * <ul>
 *   <li>anybody who runs code as the same user or as root, reads this process's memory, its core or
 *       heap dumps or its swap: while open, the root key is plain bytes on the heap;
 *   <li>anybody who has the file and the secret that seals it; there is no audit trail, no rate
 *       limit and no way to revoke a copy once made;
 *   <li>loss of the file or of that secret: every keyset under it is then gone for good. Back up
 *       both, apart from each other;
 *   <li>rollback: an old copy of the file opens with the passphrase it had then.
 * </ul>
 *
 * <p>Use it for development, tests, single machines and small services; use an HSM or a cloud KMS
 * where the root key must not be copyable. Moving later is a rewrap of keysets and touches no data.
 *
 * <p>Creating is an explicit act: {@code open} never creates and {@code create} never overwrites.
 * Passphrases and sealing keys passed in are neither retained nor wiped; the caller wipes them. A
 * file system must have POSIX permissions and hard links; elsewhere (Windows among them) creating
 * and opening fail with {@code UNSUPPORTED}. Safe for concurrent use; the caller owns and closes
 * it. The formats are specified in docs/spec/local-root-key-v1.md.
 */
public final class LocalRootKey implements RootKey {
  /** The scheme of every {@link RootKeyId} of this provider. */
  public static final String SCHEME = "local";

  private static final Logger LOG = LoggerFactory.getLogger(LocalRootKey.class);
  private static final SecureRandom RANDOM = new SecureRandom();
  private static final byte[] LABEL = Hkdf.label("sealwax/local-root-key/v1/wrap");

  private static final byte WRAP_VERSION = 1;
  private static final int WRAP_VERSION_LEN = 1;
  private static final int WRAP_OVERHEAD = WRAP_VERSION_LEN + SealedSecret.OVERHEAD; // 81

  private final RootKeyId id;
  private final byte[] idBytes;
  private final byte[] rootKey;
  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private boolean closed;

  private LocalRootKey(RootKeyFile content) {
    this.idBytes = content.id();
    this.rootKey = content.rootKey();
    this.id = RootKeyId.of(SCHEME + ":" + HexFormat.of().formatHex(idBytes));
  }

  /**
   * Creates a new root key in a new file, sealed by a passphrase, and opens it. Takes a few hundred
   * milliseconds and 64 MiB of heap, as opening does: that is what slows a guesser down.
   *
   * @param passphrase 15 to 1024 characters, no control characters, taken literally (no Unicode
   *     normalization); neither retained nor wiped
   * @throws IllegalArgumentException if the passphrase breaks that rule; choose a longer one
   * @throws RootKeyException with {@code UNSUPPORTED} if the file exists, {@code NOT_FOUND} if its
   *     directory does not, {@code ACCESS_DENIED} if it may not be written
   */
  public static LocalRootKey create(Path file, char[] passphrase) {
    return create(file, passphrase, Argon2Cost.DEFAULT);
  }

  static LocalRootKey create(Path file, char[] passphrase, Argon2Cost cost) {
    try (Sealing sealing = PassphraseSealing.ofNew(passphrase, cost, Argon2Cost::stretch)) {
      return create(file, sealing);
    }
  }

  /**
   * Creates a new root key in a new file, sealed by a key of the host, and opens it.
   *
   * @param sealingKey 32 uniformly random bytes kept elsewhere, for instance in the host's secret
   *     manager; neither retained nor closed
   * @throws IllegalArgumentException if the sealing key is not 32 bytes
   * @throws RootKeyException as {@link #create(Path, char[])} does
   */
  public static LocalRootKey create(Path file, KeyMaterial sealingKey) {
    try (Sealing sealing = SuppliedKeySealing.of(sealingKey)) {
      return create(file, sealing);
    }
  }

  private static LocalRootKey create(Path file, Sealing sealing) {
    Objects.requireNonNull(file, "file");
    RootKeyFile content =
        new RootKeyFile(random(RootKeyFile.ID_LEN), random(RootKeyFile.ROOT_KEY_LEN));
    LocalRootKey created = new LocalRootKey(content);
    try {
      OwnerOnlyFile.create(file, content.seal(sealing, random(SealedSecret.SALT_LEN)));
    } catch (RuntimeException e) {
      created.close();
      throw e;
    }
    LOG.info("created local root key {} in {}", created.id, file);
    return created;
  }

  /**
   * Opens the root key in a file sealed by a passphrase.
   *
   * @param passphrase neither retained nor wiped
   * @throws IllegalArgumentException if the passphrase is empty, longer than 1024 characters or no
   *     text
   * @throws RootKeyException with {@code NOT_FOUND} if there is no such file; {@code ACCESS_DENIED}
   *     if the passphrase is wrong or the sealed part was altered, which cannot be told apart, or
   *     if others may access the file ({@code chmod 600} it, and ask who could read it until now);
   *     {@code INVALID_CIPHERTEXT} if it is no root key file or a damaged one (restore a backup);
   *     {@code UNSUPPORTED} if a newer library wrote it
   */
  public static LocalRootKey open(Path file, char[] passphrase) {
    try (Sealing sealing = PassphraseSealing.ofExisting(passphrase, Argon2Cost::stretch)) {
      return open(file, sealing);
    }
  }

  /**
   * Opens the root key in a file sealed by a key of the host.
   *
   * @param sealingKey the 32 bytes it was created with; neither retained nor closed
   * @throws IllegalArgumentException if the sealing key is not 32 bytes
   * @throws RootKeyException as {@link #open(Path, char[])} does
   */
  public static LocalRootKey open(Path file, KeyMaterial sealingKey) {
    try (Sealing sealing = SuppliedKeySealing.of(sealingKey)) {
      return open(file, sealing);
    }
  }

  private static LocalRootKey open(Path file, Sealing sealing) {
    return new LocalRootKey(read(file, sealing));
  }

  private static RootKeyFile read(Path file, Sealing sealing) {
    Objects.requireNonNull(file, "file");
    return RootKeyFile.open(file, OwnerOnlyFile.read(file, RootKeyFile.TOTAL_LEN), sealing);
  }

  /**
   * Seals the file anew under another passphrase. The root key and its id stay, so nothing under it
   * changes and open instances go on. After a crash the file has the old or the new passphrase.
   *
   * <p>This does not undo a leak: whoever kept a copy of the old file opens it with the old
   * passphrase. After a leak create another root key and move the keysets to it.
   *
   * @param old the passphrase of the file now; neither retained nor wiped
   * @param fresh the passphrase from now on, by the rule of {@link #create(Path, char[])}
   * @throws IllegalArgumentException if {@code fresh} breaks that rule
   * @throws RootKeyException as {@link #open(Path, char[])} does, or with {@code ACCESS_DENIED} if
   *     the file may not be replaced by this user
   */
  public static void changePassphrase(Path file, char[] old, char[] fresh) {
    changePassphrase(file, old, fresh, Argon2Cost.DEFAULT);
  }

  static void changePassphrase(Path file, char[] old, char[] fresh, Argon2Cost cost) {
    try (Sealing from = PassphraseSealing.ofExisting(old, Argon2Cost::stretch);
        Sealing to = PassphraseSealing.ofNew(fresh, cost, Argon2Cost::stretch)) {
      reseal(file, from, to);
    }
  }

  /**
   * Seals the file anew under another key of the host; see {@link #changePassphrase}.
   *
   * @throws IllegalArgumentException if a sealing key is not 32 bytes
   * @throws RootKeyException as {@link #changePassphrase} does
   */
  public static void changeSealingKey(Path file, KeyMaterial old, KeyMaterial fresh) {
    try (Sealing from = SuppliedKeySealing.of(old);
        Sealing to = SuppliedKeySealing.of(fresh)) {
      reseal(file, from, to);
    }
  }

  private static void reseal(Path file, Sealing from, Sealing to) {
    RootKeyFile content = read(file, from);
    try {
      OwnerOnlyFile.replace(file, content.seal(to, random(SealedSecret.SALT_LEN)));
    } finally {
      Arrays.fill(content.rootKey(), (byte) 0);
    }
    LOG.info("sealed local root key file {} anew", file);
  }

  @Override
  public RootKeyId currentKeyId() {
    return id;
  }

  /** {@code provider=local} and {@code protection=software}. */
  @Override
  public Set<String> tags() {
    return Set.of("provider=local", "protection=software");
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
    Objects.requireNonNull(key, "key");
    byte[] associatedData = associatedData(context);
    byte[] salt = random(SealedSecret.SALT_LEN);
    byte[] sealed =
        whileOpen(
            () ->
                key.use(secret -> SealedSecret.seal(rootKey, LABEL, salt, associatedData, secret)));
    return WrappedKey.of(
        id,
        ByteBuffer.allocate(WRAP_VERSION_LEN + sealed.length)
            .put(WRAP_VERSION)
            .put(sealed)
            .array());
  }

  @Override
  public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    Objects.requireNonNull(wrapped, "wrapped key");
    byte[] associatedData = associatedData(context);
    return whileOpen(() -> open(wrapped, associatedData));
  }

  private KeyMaterial open(WrappedKey wrapped, byte[] associatedData) {
    if (!wrapped.rootKeyId().equals(id)) {
      throw new RootKeyException(
          NOT_FOUND,
          "key was wrapped by "
              + wrapped.rootKeyId()
              + ", this is "
              + id
              + "; open the root key that wrapped it, or both with RoutingRootKey");
    }
    byte[] ciphertext = wrapped.ciphertext();
    if (ciphertext.length <= WRAP_OVERHEAD
        || ciphertext.length > WRAP_OVERHEAD + KeyMaterial.MAX_BYTES
        || ciphertext[0] != WRAP_VERSION) {
      throw invalid();
    }
    byte[] sealed = Arrays.copyOfRange(ciphertext, WRAP_VERSION_LEN, ciphertext.length);
    byte[] secret = SealedSecret.open(rootKey, LABEL, associatedData, sealed);
    if (secret == null) {
      throw invalid();
    }
    return KeyMaterial.owning(secret);
  }

  private RootKeyException invalid() {
    return new RootKeyException(
        INVALID_CIPHERTEXT, "wrapped key is not authentic for " + id + " and this context");
  }

  private byte[] associatedData(EncryptionContext context) {
    byte[] canonical = Objects.requireNonNull(context, "context").toCanonicalBytes();
    return ByteBuffer.allocate(WRAP_VERSION_LEN + idBytes.length + canonical.length)
        .put(WRAP_VERSION)
        .put(idBytes)
        .put(canonical)
        .array();
  }

  /** Many at once, but never while {@link #close} wipes: half a key would seal for nobody. */
  private <T> T whileOpen(Supplier<T> action) {
    Lock reading = lock.readLock();
    reading.lock();
    try {
      if (closed) {
        throw new IllegalStateException("root key " + id + " is closed");
      }
      return action.get();
    } finally {
      reading.unlock();
    }
  }

  /** Wipes the key after the calls under way have ended; further calls do nothing. */
  @Override
  public void close() {
    Lock writing = lock.writeLock();
    writing.lock();
    try {
      closed = true;
      Arrays.fill(rootKey, (byte) 0);
    } finally {
      writing.unlock();
    }
  }

  private static byte[] random(int length) {
    byte[] bytes = new byte[length];
    RANDOM.nextBytes(bytes);
    return bytes;
  }

  @Override
  public String toString() {
    return "LocalRootKey[" + id + "]";
  }
}
