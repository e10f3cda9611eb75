package dev.sealwax.kms.rootkey;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetEncoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;

/** A root key file sealed by a passphrase through Argon2id. */
final class PassphraseSealing implements Sealing {
  static final byte METHOD = 1;

  /**
   * Fewest characters of a new passphrase: SP 800-63B-4 §3.1.1.2 asks 15 of a password that stands
   * alone, and whoever copies the file may guess without anybody counting.
   */
  static final int MIN_CHARACTERS = 15;

  static final int MAX_CHARACTERS = 1024;

  /** How a passphrase becomes 32 bytes; tests put something fast here. */
  interface Stretch {
    byte[] apply(Argon2Cost cost, byte[] passphrase, byte[] salt);
  }

  private final byte[] utf8;
  private final Argon2Cost costOfNewFile;
  private final Stretch stretch;

  private PassphraseSealing(byte[] utf8, Argon2Cost costOfNewFile, Stretch stretch) {
    this.utf8 = utf8;
    this.costOfNewFile = costOfNewFile;
    this.stretch = stretch;
  }

  /**
   * For writing a file: the passphrase must be good enough.
   *
   * @throws IllegalArgumentException if it is too short or long, has control characters (mostly the
   *     line break of the file it was read from) or an unpaired surrogate
   */
  static PassphraseSealing ofNew(char[] passphrase, Argon2Cost cost, Stretch stretch) {
    Objects.requireNonNull(passphrase, "passphrase");
    int characters = Character.codePointCount(passphrase, 0, passphrase.length);
    if (characters < MIN_CHARACTERS) {
      throw new IllegalArgumentException(
          "passphrase must have at least " + MIN_CHARACTERS + " characters, got " + characters);
    }
    for (char c : passphrase) {
      if (Character.isISOControl(c)) {
        throw new IllegalArgumentException(
            "passphrase holds a control character; strip the line break of the file it came from");
      }
    }
    return new PassphraseSealing(utf8(passphrase), cost, stretch);
  }

  /**
   * For opening a file, where the file decides what is right.
   *
   * @throws IllegalArgumentException if it is empty, too long or has an unpaired surrogate
   */
  static PassphraseSealing ofExisting(char[] passphrase, Stretch stretch) {
    if (Objects.requireNonNull(passphrase, "passphrase").length == 0) {
      throw new IllegalArgumentException("passphrase is empty");
    }
    return new PassphraseSealing(utf8(passphrase), Argon2Cost.DEFAULT, stretch);
  }

  private static byte[] utf8(char[] passphrase) {
    if (Character.codePointCount(passphrase, 0, passphrase.length) > MAX_CHARACTERS) {
      throw new IllegalArgumentException(
          "passphrase has more than " + MAX_CHARACTERS + " characters");
    }
    CharsetEncoder encoder =
        StandardCharsets.UTF_8
            .newEncoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT);
    ByteBuffer out = ByteBuffer.allocate(3 * passphrase.length);
    try {
      var result = encoder.encode(CharBuffer.wrap(passphrase), out, /* endOfInput= */ true);
      if (!result.isUnderflow()) {
        result.throwException();
      }
      return Arrays.copyOf(out.array(), out.position());
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException("passphrase has an unpaired surrogate", e);
    } finally {
      Arrays.fill(out.array(), (byte) 0);
    }
  }

  @Override
  public byte method() {
    return METHOD;
  }

  @Override
  public byte[] parameters() {
    return costOfNewFile.encoded();
  }

  @Override
  public byte[] inputKey(byte[] parameters, byte[] salt) {
    return stretch.apply(Argon2Cost.decode(parameters), utf8, salt);
  }

  @Override
  public void close() {
    Arrays.fill(utf8, (byte) 0);
  }
}
