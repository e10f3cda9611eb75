package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.rootkey.SignatureAlgorithm;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;

/**
 * A token, to create keys on and to see which there are. Creating changes the token, so it is an
 * act of its own and never a side effect of opening a key.
 *
 * <p>Keys are made in the token: sensitive, not extractable, with a random id of 16 bytes that no
 * other object there has. After each step the key is tested, and destroyed again if it does not
 * serve. Nothing else is ever destroyed, and no key is ever replaced. Safe for concurrent use; the
 * caller owns and closes it.
 */
public final class Pkcs11Token implements AutoCloseable {
  private static final int MAX_LISTED = 4096;

  private final TokenConnection connection;
  private final KeyMaker maker;

  private Pkcs11Token(TokenConnection connection) {
    this.connection = connection;
    this.maker = new KeyMaker(connection);
  }

  /**
   * Opens the token that the URI names, for writing; {@code object} and {@code id} of the URI are
   * not looked at.
   *
   * @throws RootKeyException as {@link Pkcs11RootKey#open} does
   */
  public static Pkcs11Token open(Pkcs11Config config) {
    return open(config, NativeCryptoki::load);
  }

  static Pkcs11Token open(Pkcs11Config config, Function<Path, Cryptoki> loader) {
    Objects.requireNonNull(config, "config");
    return new Pkcs11Token(TokenConnection.open(config, /* writable= */ true, loader));
  }

  /**
   * Lets PINs be tried again that a token refused in this process. For when the token was given the
   * PIN that is configured, and not the other way round.
   */
  public static void forgetRefusedPins() {
    PinLatch.forget();
  }

  /**
   * Creates a root key, the first with its label. An RSA key, and an AES key on a token that only
   * has AES-CBC, comes with a second key that signs what the first protects.
   *
   * @param label 1 to 64 bytes of UTF-8
   * @return the key; its URI opens it
   * @throws IllegalArgumentException if the label is empty, too long, or has control characters
   * @throws RootKeyException with {@code UNSUPPORTED} if there is a key with that label (rotate
   *     it), or the token cannot make or use such a key; {@code ACCESS_DENIED} if it may not be
   *     written, or makes keys that it would hand out
   */
  public Pkcs11KeyInfo createRootKey(String label, RootKeySpec spec) {
    requireLabel(label);
    Objects.requireNonNull(spec, "spec");
    if (exists(label)) {
      throw new RootKeyException(
          UNSUPPORTED,
          connection.token() + " has a key '" + label + "'; rotate it, or choose another label");
    }
    return maker.makeRootKey(label, spec);
  }

  /**
   * Creates another version of a root key: same label, new id. Processes go on wrapping with the
   * version their URI names, and unwrap with both; put the new URI into their configuration.
   *
   * <p>A URI that names the label alone no longer opens, because it does not say which version is
   * meant. So name the id in all configurations <em>before</em> the first rotation.
   *
   * @param spec may differ from that of the version before
   * @throws RootKeyException with {@code NOT_FOUND} if there is no key with that label; otherwise
   *     as {@link #createRootKey} does
   */
  public Pkcs11KeyInfo rotateRootKey(String label, RootKeySpec spec) {
    requireLabel(label);
    Objects.requireNonNull(spec, "spec");
    if (!exists(label)) {
      throw new RootKeyException(
          NOT_FOUND, connection.token() + " has no key '" + label + "' to rotate; create it");
    }
    return maker.makeRootKey(label, spec);
  }

  /**
   * Creates a signing key; {@link Pkcs11RootKey#signingKey} opens it.
   *
   * @throws IllegalArgumentException as {@link #createRootKey} does
   * @throws RootKeyException as {@link #createRootKey} does
   */
  public Pkcs11KeyInfo createSigningKey(String label, SignatureAlgorithm algorithm) {
    requireLabel(label);
    Objects.requireNonNull(algorithm, "algorithm");
    if (exists(label)) {
      throw new RootKeyException(
          UNSUPPORTED, connection.token() + " has a key '" + label + "'; choose another label");
    }
    return maker.makeSigningKey(label, algorithm);
  }

  /**
   * All secret and private keys of the token that only somebody with its PIN can have made,
   * companions included.
   */
  public List<Pkcs11KeyInfo> keys() {
    return connection.call(
        "list keys",
        session -> {
          List<Pkcs11KeyInfo> keys = new ArrayList<>();
          for (long objectClass : new long[] {Ck.CKO_SECRET_KEY, Ck.CKO_PRIVATE_KEY}) {
            for (long handle : session.find(keysTemplate(objectClass), MAX_LISTED)) {
              keys.add(TokenKeys.describe(session, handle, connection.config().uri()));
            }
          }
          return List.copyOf(keys);
        });
  }

  private static Template keysTemplate(long objectClass) {
    return new Template()
        .number(Ck.CKA_CLASS, objectClass)
        .flag(Ck.CKA_TOKEN, true)
        .flag(Ck.CKA_PRIVATE, true);
  }

  private boolean exists(String label) {
    return connection.call(
        "look for label",
        session -> {
          for (long objectClass : new long[] {Ck.CKO_SECRET_KEY, Ck.CKO_PRIVATE_KEY}) {
            if (session.find(keysTemplate(objectClass).text(Ck.CKA_LABEL, label), 1).length > 0) {
              return true;
            }
          }
          return false;
        });
  }

  private static void requireLabel(String label) {
    int length = Objects.requireNonNull(label, "label").getBytes(StandardCharsets.UTF_8).length;
    if (length < 1
        || length > Pkcs11Uri.MAX_LABEL_BYTES
        || label.chars().anyMatch(Character::isISOControl)) {
      throw new IllegalArgumentException(
          "label must be 1 to "
              + Pkcs11Uri.MAX_LABEL_BYTES
              + " bytes without control characters, got "
              + length);
    }
  }

  /** How the connection does. */
  public Pkcs11Health health() {
    return connection.health();
  }

  /** Closes the sessions; further calls do nothing. */
  @Override
  public void close() {
    connection.close();
  }

  @Override
  public String toString() {
    return "Pkcs11Token[" + connection.token() + "]";
  }
}
