package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.crypto.Hkdf;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * The content of a root key file: local-root-key-v1 §2 in code. Owns no file and no memory; the
 * caller wipes what it gets.
 */
final class RootKeyFile {
  static final int MAGIC_POS = 0;
  static final int MAGIC_LEN = 7;
  static final int VERSION_POS = MAGIC_POS + MAGIC_LEN; // 7
  static final int VERSION_LEN = 1;
  static final int METHOD_POS = VERSION_POS + VERSION_LEN; // 8
  static final int METHOD_LEN = 1;
  static final int PARAMETERS_POS = METHOD_POS + METHOD_LEN; // 9
  static final int PARAMETERS_LEN = Sealing.PARAMETERS_LEN;
  static final int ID_POS = PARAMETERS_POS + PARAMETERS_LEN; // 21
  static final int ID_LEN = 16;
  static final int SEALED_POS = ID_POS + ID_LEN; // 37
  static final int ROOT_KEY_LEN = 32;
  static final int SEALED_LEN = SealedSecret.OVERHEAD + ROOT_KEY_LEN; // 112
  static final int TOTAL_LEN = SEALED_POS + SEALED_LEN; // 149

  static final byte VERSION = 1;

  private static final byte[] MAGIC = "SWXROOT".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] LABEL = Hkdf.label("sealwax/local-root-key/v1/file");

  private final byte[] id;
  private final byte[] rootKey;

  /** Takes both arrays over. */
  RootKeyFile(byte[] id, byte[] rootKey) {
    this.id = id;
    this.rootKey = rootKey;
  }

  byte[] id() {
    return id;
  }

  /** The key itself, not a copy. */
  byte[] rootKey() {
    return rootKey;
  }

  /** The file's bytes; {@code salt} must be fresh and random. */
  byte[] seal(Sealing sealing, byte[] salt) {
    byte[] parameters = sealing.parameters();
    byte[] header =
        ByteBuffer.allocate(SEALED_POS)
            .put(MAGIC)
            .put(VERSION)
            .put(sealing.method())
            .put(parameters)
            .put(id)
            .array();
    byte[] inputKey = sealing.inputKey(parameters, salt);
    try {
      return ByteBuffer.allocate(TOTAL_LEN)
          .put(header)
          .put(SealedSecret.seal(inputKey, LABEL, salt, header, rootKey))
          .array();
    } finally {
      Arrays.fill(inputKey, (byte) 0);
    }
  }

  /**
   * Opens a file's bytes.
   *
   * @param place where they come from, for messages
   * @throws RootKeyException with {@code INVALID_CIPHERTEXT} if the bytes are no root key file,
   *     {@code UNSUPPORTED} if of an unknown version, {@code ACCESS_DENIED} if {@code sealing} does
   *     not open it
   */
  static RootKeyFile open(Path place, byte[] file, Sealing sealing) {
    if (file.length != TOTAL_LEN) {
      throw new RootKeyException(
          INVALID_CIPHERTEXT,
          place
              + " must be "
              + TOTAL_LEN
              + " bytes, got "
              + file.length
              + "; restore it from a backup");
    }
    if (!Arrays.equals(file, MAGIC_POS, VERSION_POS, MAGIC, 0, MAGIC_LEN)) {
      throw new RootKeyException(INVALID_CIPHERTEXT, place + " is no root key file: wrong magic");
    }
    if (file[VERSION_POS] != VERSION) {
      throw new RootKeyException(
          UNSUPPORTED,
          place + " has version " + (file[VERSION_POS] & 0xff) + ", this library reads " + VERSION);
    }
    requireMethod(place, file[METHOD_POS], sealing.method());
    byte[] header = Arrays.copyOf(file, SEALED_POS);
    byte[] sealed = Arrays.copyOfRange(file, SEALED_POS, TOTAL_LEN);
    byte[] inputKey =
        sealing.inputKey(
            Arrays.copyOfRange(file, PARAMETERS_POS, ID_POS),
            Arrays.copyOf(sealed, SealedSecret.SALT_LEN));
    try {
      byte[] rootKey = SealedSecret.open(inputKey, LABEL, header, sealed);
      if (rootKey == null) {
        throw new RootKeyException(
            ACCESS_DENIED,
            place
                + " does not open: wrong "
                + describe(sealing.method())
                + ", or the file was altered (the two cannot be told apart)");
      }
      return new RootKeyFile(Arrays.copyOfRange(header, ID_POS, SEALED_POS), rootKey);
    } finally {
      Arrays.fill(inputKey, (byte) 0);
    }
  }

  private static void requireMethod(Path place, byte found, byte offered) {
    if (found != PassphraseSealing.METHOD && found != SuppliedKeySealing.METHOD) {
      throw new RootKeyException(
          INVALID_CIPHERTEXT, place + " has unknown sealing method " + (found & 0xff));
    }
    if (found != offered) {
      throw new RootKeyException(
          ACCESS_DENIED,
          place + " is sealed by a " + describe(found) + ", not by a " + describe(offered));
    }
  }

  private static String describe(byte method) {
    return method == PassphraseSealing.METHOD ? "passphrase" : "supplied key";
  }
}
