package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.crypto.Hkdf;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class RootKeyFileTest {
  private static final char[] PASSPHRASE = "correct horse battery".toCharArray();
  private static final byte[] ID = ascii("sixteen byte id!");
  private static final byte[] ROOT_KEY = ascii("thirty-two bytes of a root key!!");
  private static final byte[] SALT = ascii("thirty-two bytes which are salt!");

  /** Argon2id is a function of these inputs; a cheap one shows the same about the format. */
  private static byte[] cheap(Argon2Cost cost, byte[] passphrase, byte[] salt) {
    return Hkdf.expand(Hkdf.extract(salt, passphrase), cost.encoded(), RootKeyFile.ROOT_KEY_LEN);
  }

  private static Sealing passphrase(char[] passphrase) {
    return PassphraseSealing.ofExisting(passphrase, RootKeyFileTest::cheap);
  }

  private static Sealing suppliedKey(int firstByte) {
    byte[] key = new byte[32];
    key[0] = (byte) firstByte;
    return SuppliedKeySealing.of(KeyMaterial.owning(key));
  }

  private static byte[] sealedByPassphrase() {
    return new RootKeyFile(ID.clone(), ROOT_KEY.clone())
        .seal(
            PassphraseSealing.ofNew(PASSPHRASE, Argon2Cost.DEFAULT, RootKeyFileTest::cheap), SALT);
  }

  private static byte[] sealedByKey() {
    return new RootKeyFile(ID.clone(), ROOT_KEY.clone()).seal(suppliedKey(7), SALT);
  }

  @Test
  void open_ofWhatWasSealed_returnsIdAndKey() {
    for (RootKeyFile opened :
        new RootKeyFile[] {
          RootKeyFile.open(Path.of("root.key"), sealedByPassphrase(), passphrase(PASSPHRASE)),
          RootKeyFile.open(Path.of("root.key"), sealedByKey(), suppliedKey(7))
        }) {
      assertArrayEquals(ID, opened.id());
      assertArrayEquals(ROOT_KEY, opened.rootKey());
    }
  }

  /** [LRK-1] [LRK-8] */
  @Test
  void open_ofEverySingleBitFlip_isRefused() {
    assertEveryFlipIsRefused(sealedByPassphrase(), passphrase(PASSPHRASE));
    assertEveryFlipIsRefused(sealedByKey(), suppliedKey(7));
  }

  private static void assertEveryFlipIsRefused(byte[] file, Sealing sealing) {
    var typed = EnumSet.of(INVALID_CIPHERTEXT, UNSUPPORTED, ACCESS_DENIED);
    for (int bit = 0; bit < 8 * file.length; bit++) {
      byte[] flipped = file.clone();
      flipped[bit / 8] ^= (byte) (1 << bit % 8);
      RootKeyException refusal =
          assertThrows(
              RootKeyException.class,
              () -> RootKeyFile.open(Path.of("root.key"), flipped, sealing),
              "bit " + bit);
      var expected =
          bit / 8 < RootKeyFile.VERSION_POS
              ? EnumSet.of(INVALID_CIPHERTEXT)
              : bit / 8 < RootKeyFile.METHOD_POS
                  ? EnumSet.of(UNSUPPORTED)
                  : bit / 8 < RootKeyFile.ID_POS ? typed : EnumSet.of(ACCESS_DENIED);
      assertTrue(expected.contains(refusal.reason()), "bit " + bit + ": " + refusal);
    }
  }

  /** [LRK-1] */
  @Test
  void open_ofAnotherLength_isInvalid() {
    byte[] file = sealedByKey();
    assertEquals(149, file.length);
    for (int length = 0; length <= file.length + 1; length++) {
      if (length != file.length) {
        assertRefused(INVALID_CIPHERTEXT, Arrays.copyOf(file, length), suppliedKey(7));
      }
    }
  }

  /** [LRK-2] */
  @ParameterizedTest
  @ValueSource(ints = {0, 2, 255})
  void open_ofAnotherVersion_isUnsupported(int version) {
    byte[] file = sealedByKey();
    file[RootKeyFile.VERSION_POS] = (byte) version;
    RootKeyException refusal = assertRefused(UNSUPPORTED, file, suppliedKey(7));
    assertTrue(refusal.getMessage().contains("version " + version), refusal.getMessage());
  }

  /** [LRK-3] */
  @Test
  void open_ofAnotherMethod_saysWhich() {
    byte[] file = sealedByKey();
    String message = assertRefused(ACCESS_DENIED, file, passphrase(PASSPHRASE)).getMessage();
    assertTrue(message.contains("sealed by a supplied key, not by a passphrase"), message);
    file[RootKeyFile.METHOD_POS] = 3;
    assertRefused(INVALID_CIPHERTEXT, file, suppliedKey(7));
  }

  /** [LRK-4]: even authenticated, nonzero parameters are no second encoding. */
  @Test
  void open_ofSuppliedKeyFileWithParameters_isInvalid() {
    for (int i = RootKeyFile.PARAMETERS_POS; i < RootKeyFile.ID_POS; i++) {
      byte[] file = sealedByKey();
      file[i] = 1;
      assertRefused(INVALID_CIPHERTEXT, file, suppliedKey(7));
    }
  }

  /** [LRK-5] */
  @ParameterizedTest
  @CsvSource({
    "0,3,1",
    "65536,0,1",
    "65536,3,0",
    "47103,1,1",
    "19455,2,1",
    "12287,3,1",
    "9215,4,1",
    "7167,5,1",
    "7167,1000,1",
    "1048577,1,1",
    "1048576,5,1",
    "65536,65,1",
    "65536,3,17",
    "-1,3,1",
    "65536,-1,1",
    "65536,3,-1",
    "104857600,1,1",
    "65536,2147483647,1"
  })
  void open_withCostOutsideTheRange_isInvalid(int memory, int iterations, int parallelism) {
    byte[] file = sealedByPassphrase();
    ByteBuffer.wrap(file, RootKeyFile.PARAMETERS_POS, RootKeyFile.PARAMETERS_LEN)
        .putInt(memory)
        .putInt(iterations)
        .putInt(parallelism);
    assertRefused(INVALID_CIPHERTEXT, file, passphrase(PASSPHRASE));
    assertThrows(
        IllegalArgumentException.class, () -> new Argon2Cost(memory, iterations, parallelism));
  }

  /** [LRK-5] */
  @ParameterizedTest
  @CsvSource({
    "47104,1,1",
    "19456,2,1",
    "12288,3,1",
    "9216,4,1",
    "7168,5,1",
    "7168,585,16",
    "1048576,4,16"
  })
  void decode_ofCostAtTheEdgeOfTheRange_isAccepted(int memory, int iterations, int parallelism) {
    Argon2Cost cost = new Argon2Cost(memory, iterations, parallelism);
    assertEquals(cost, Argon2Cost.decode(cost.encoded()));
  }

  /** [LRK-6] */
  @Test
  void requireHeap_ofSmallerHeap_isUnsupported() {
    Argon2Cost cost = Argon2Cost.DEFAULT;
    cost.requireHeap(cost.memoryKib() + 1);
    assertEquals(
        UNSUPPORTED,
        assertThrows(RootKeyException.class, () -> cost.requireHeap(cost.memoryKib())).reason());
  }

  /** [LRK-9] */
  @Test
  void open_withWrongSecretOrAlteredFile_saysTheSame() {
    byte[] altered = sealedByPassphrase();
    altered[altered.length - 1] ^= 1;
    RootKeyException tampered = assertRefused(ACCESS_DENIED, altered, passphrase(PASSPHRASE));
    RootKeyException wrong =
        assertRefused(
            ACCESS_DENIED, sealedByPassphrase(), passphrase("correct horse batterz".toCharArray()));
    assertEquals(tampered.getMessage(), wrong.getMessage());
    assertFalse(wrong.getMessage().contains("correct horse"), wrong.getMessage());
    assertRefused(ACCESS_DENIED, sealedByKey(), suppliedKey(8));
  }

  /** [LRK-14]: a file that decrypts but commits to another key is one of a partitioning oracle. */
  @Test
  void open_withForeignCommitment_isRefused() {
    byte[] file = sealedByKey();
    int commitment = RootKeyFile.SEALED_POS + SealedSecret.COMMITMENT_POS;
    Arrays.fill(file, commitment, commitment + SealedSecret.COMMITMENT_LEN, (byte) 0);
    assertRefused(ACCESS_DENIED, file, suppliedKey(7));
  }

  /** [LRK-8]: a file and a wrapped key of one key and salt share nothing. */
  @Test
  void seal_underAnotherLabel_sharesNoKey() {
    byte[] one = SealedSecret.seal(ROOT_KEY, Hkdf.label("a"), SALT, new byte[0], ROOT_KEY);
    byte[] two = SealedSecret.seal(ROOT_KEY, Hkdf.label("b"), SALT, new byte[0], ROOT_KEY);
    assertNotEquals(
        ByteBuffer.wrap(one, SealedSecret.COMMITMENT_POS, SealedSecret.COMMITMENT_LEN),
        ByteBuffer.wrap(two, SealedSecret.COMMITMENT_POS, SealedSecret.COMMITMENT_LEN));
  }

  /** [LRK-12] */
  @Test
  void ofNew_withBadPassphrase_isRefused() {
    for (String bad :
        new String[] {
          "",
          "fourteen chars",
          "\ud83d\udc0e".repeat(14),
          "correct horse battery\n",
          "correct horse\0battery",
          "unpaired surrogate \ud83d",
          "x".repeat(1025)
        }) {
      IllegalArgumentException refusal =
          assertThrows(
              IllegalArgumentException.class,
              () ->
                  PassphraseSealing.ofNew(
                      bad.toCharArray(), Argon2Cost.DEFAULT, RootKeyFileTest::cheap));
      assertFalse(refusal.getMessage().contains("horse"), refusal.getMessage());
    }
  }

  /** [LRK-12] */
  @Test
  void ofExisting_withShortPassphrase_letsTheFileDecide() {
    assertRefused(ACCESS_DENIED, sealedByPassphrase(), passphrase(new char[] {'x'}));
    assertThrows(IllegalArgumentException.class, () -> passphrase(new char[0]));
    assertThrows(IllegalArgumentException.class, () -> passphrase(new char[] {'\ud83d'}));
    assertThrows(IllegalArgumentException.class, () -> passphrase(new char[1025]));
  }

  private static RootKeyException assertRefused(
      RootKeyException.Reason reason, byte[] file, Sealing sealing) {
    RootKeyException refusal =
        assertThrows(
            RootKeyException.class, () -> RootKeyFile.open(Path.of("root.key"), file, sealing));
    assertEquals(reason, refusal.reason(), refusal.getMessage());
    return refusal;
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
