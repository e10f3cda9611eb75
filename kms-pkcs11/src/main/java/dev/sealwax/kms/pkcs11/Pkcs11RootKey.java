package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;

import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.SigningKey;
import dev.sealwax.kms.rootkey.SigningRootKey;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A root key in a PKCS#11 token: an HSM, a smart card, a TPM, or software that acts as one.
 *
 * <p>The key never leaves the token; what it wraps can be unwrapped only with the token and its
 * PIN. It is made with {@link Pkcs11Token}, or by the token's own tools. What a token in software
 * protects from is another matter: SoftHSM and NSS keep their keys in files.
 *
 * <p>It heals itself. Sessions that end, a token that was taken out and put back, a connection to a
 * network HSM that was cut: the next call after the fault has ended, or after the back-off, works,
 * without a new JVM. A wrong PIN is never tried twice. Each call is bounded by the configured
 * timeout, whatever the module does; {@link #health} tells how it stands.
 *
 * <p>It wraps with one version of the root key and unwraps with all that have its label. 64-bit
 * Linux and macOS; elsewhere opening fails with {@code UNSUPPORTED}. Safe for concurrent use; the
 * caller owns and closes it. The format is pkcs11-root-key-v1 in docs/spec.
 */
public final class Pkcs11RootKey implements SigningRootKey {
  /** The scheme of every {@link RootKeyId} of this provider. */
  public static final String SCHEME = Pkcs11Uri.SCHEME;

  private static final Logger LOG = LoggerFactory.getLogger(Pkcs11RootKey.class);

  private final TokenConnection connection;
  private final TokenRootKey current;
  private final WrapMechanism mechanism;
  private final RootKeyId id;
  private final Map<String, TokenRootKey> versions = new ConcurrentHashMap<>();

  private record Opened(TokenRootKey key, WrapMechanism mechanism) {}

  private Pkcs11RootKey(TokenConnection connection, Opened opened) {
    this.connection = connection;
    this.current = opened.key();
    this.mechanism = opened.mechanism();
    this.id = idOf(current.id());
  }

  /**
   * Opens the root key that the URI names, by label, id, or both; logs in, and tests the key.
   *
   * @throws RootKeyException with {@code NOT_FOUND} if there is no such module, token or key, or
   *     more than one; {@code ACCESS_DENIED} if the PIN is missing, wrong, locked or nearly so, or
   *     the key is extractable or not meant for this; {@code UNSUPPORTED} if the file is no PKCS#11
   *     module, the platform is not supported, or no mechanism works with the key; {@code
   *     UNAVAILABLE} if the module or the token fails: try again
   */
  public static Pkcs11RootKey open(Pkcs11Config config) {
    return open(config, NativeCryptoki::load);
  }

  static Pkcs11RootKey open(Pkcs11Config config, Function<Path, Cryptoki> loader) {
    Objects.requireNonNull(config, "config");
    TokenConnection connection = TokenConnection.open(config, /* writable= */ false, loader);
    try {
      Opened opened =
          connection.call(
              "open root key",
              session -> {
                TokenRootKey key = RootKeySearch.named(session, config);
                return new Opened(key, key.negotiate(session, MechanismProofs.candidates(config)));
              });
      Pkcs11RootKey rootKey = new Pkcs11RootKey(connection, opened);
      LOG.info(
          "opened root key {} on {}, {}, {}",
          config.uri().withKey(rootKey.current.labelOrNull(), rootKey.current.id()),
          connection.token(),
          rootKey.mechanism,
          rootKey.protection());
      return rootKey;
    } catch (RuntimeException e) {
      connection.close();
      throw e;
    }
  }

  static RootKeyId idOf(byte[] keyId) {
    return RootKeyId.of(SCHEME + ":id=" + Pkcs11Uri.escape(keyId));
  }

  @Override
  public RootKeyId currentKeyId() {
    return id;
  }

  /**
   * {@code provider=pkcs11}, and what {@link #protection} says, for instance {@code
   * protection=never-outside}: the token's own word, which software can give as well.
   */
  @Override
  public Set<String> tags() {
    return Set.of(
        "provider=" + SCHEME,
        "protection=" + protection().name().toLowerCase(Locale.ROOT).replace('_', '-'));
  }

  /**
   * What this root key wraps with; it unwraps what others of {@link WrapMechanism} made as well.
   */
  public WrapMechanism mechanism() {
    return mechanism;
  }

  /** How far the token keeps the key to itself, as it says. */
  public KeyProtection protection() {
    return current.keyProtection();
  }

  /** How the connection does; asks nobody, and works at any time. */
  public Pkcs11Health health() {
    return connection.health();
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
    Objects.requireNonNull(key, "key");
    Objects.requireNonNull(context, "context");
    // A copy, because the call may outlive this method.
    byte[] secret = key.use(byte[]::clone);
    try {
      byte[] blob =
          connection.call("wrap", session -> current.wrap(session, mechanism, secret, context));
      return WrappedKey.of(id, blob);
    } finally {
      Arrays.fill(secret, (byte) 0);
    }
  }

  @Override
  public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    Objects.requireNonNull(wrapped, "wrapped key");
    Objects.requireNonNull(context, "context");
    connection.requireOpen();
    byte[] keyId = keyIdOf(wrapped.rootKeyId());
    WrappedBlob blob = WrappedBlob.decode(wrapped.ciphertext());
    boolean fits = blob != null && Arrays.equals(blob.keyId(), keyId);
    if (!fits && Arrays.equals(keyId, current.id())) {
      throw invalid(wrapped);
    }
    byte[] secret =
        connection.call(
            "unwrap",
            late -> Arrays.fill(late, (byte) 0),
            session -> {
              TokenRootKey version = version(session, keyId);
              if (blob == null || !fits) {
                throw invalid(wrapped);
              }
              return version.unwrap(session, blob, context);
            });
    return KeyMaterial.owning(secret);
  }

  private static RootKeyException invalid(WrappedKey wrapped) {
    return new RootKeyException(
        INVALID_CIPHERTEXT,
        "wrapped key is not authentic for " + wrapped.rootKeyId() + " and this context");
  }

  private byte[] keyIdOf(RootKeyId wrappedBy) {
    byte[] keyId = null;
    if (wrappedBy.scheme().equals(SCHEME)) {
      try {
        keyId = Pkcs11Uri.parse(wrappedBy.value()).id();
      } catch (IllegalArgumentException e) {
        LOG.debug("a wrapped key names {}", wrappedBy, e);
      }
    }
    if (keyId == null || !idOf(keyId).equals(wrappedBy)) {
      throw notFound(wrappedBy);
    }
    return keyId;
  }

  private TokenRootKey version(TokenSession session, byte[] keyId) {
    if (Arrays.equals(keyId, current.id())) {
      return current;
    }
    String name = HexFormat.of().formatHex(keyId);
    TokenRootKey known = versions.get(name);
    if (known != null) {
      return known;
    }
    @Nullable TokenRootKey found = current.findVersion(session, keyId);
    if (found == null) {
      throw notFound(idOf(keyId));
    }
    versions.put(name, found);
    return found;
  }

  private RootKeyException notFound(RootKeyId wrappedBy) {
    return new RootKeyException(
        NOT_FOUND,
        "key was wrapped by "
            + wrappedBy
            + ", this is "
            + id
            + " and other keys of its label and token"
            + "; open the root key that wrapped it, or both with RoutingRootKey");
  }

  @Override
  public SigningKey signingKey(String name) {
    Objects.requireNonNull(name, "name");
    return TokenSigningKey.open(connection, name);
  }

  /**
   * Closes the sessions, after calls under way have ended or their timeout has come; further calls
   * do nothing. The last user of a module in this JVM finalizes it.
   */
  @Override
  public void close() {
    connection.close();
  }

  @Override
  public String toString() {
    return "Pkcs11RootKey[" + id + ", " + mechanism + "]";
  }
}
