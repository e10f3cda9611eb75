package dev.sealwax.kms.tink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.crypto.tink.Aead;
import com.google.crypto.tink.aead.AeadParameters;
import com.google.crypto.tink.aead.AesGcmSivParameters;
import com.google.crypto.tink.aead.ChaCha20Poly1305Parameters;
import com.google.crypto.tink.aead.KmsEnvelopeAead;
import com.google.crypto.tink.aead.PredefinedAeadParameters;
import com.google.crypto.tink.aead.XAesGcmParameters;
import com.google.crypto.tink.subtle.AesGcmJce;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.Security;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.concurrent.FutureTask;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Ciphertexts that Tink 1.24.0 made once, of each kind of data keys that KmsEnvelopeAead takes: the
 * format as it is out there. All are of the same message, associated data and key-encryption key.
 */
final class TinkVectorsTest {
  private static final byte[] PLAINTEXT = "4 lamps, blue".getBytes(StandardCharsets.UTF_8);
  private static final byte[] ROW = "order 42".getBytes(StandardCharsets.UTF_8);

  private final TinkRig rig = new TinkRig();

  @AfterEach
  void close() {
    rig.close();
  }

  private record Vector(String name, AeadParameters parameters, String hex) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static final Vector GCM_SIV =
      new Vector(
          "AES128_GCM_SIV",
          gcmSiv(),
          "0000002e207ab833eb014f885667b6cc2e8a7dc49d36b1a25a118e2f54d2aeb6eae65b71c8d97e66475f7c8b"
              + "9218821a877788491f1adbeb608a92b144b08ae76c1a4ed80f6e12a1e0968c14c52e313341d4f14fe637"
              + "69f000fa20");

  static Stream<Vector> vectors() {
    return Stream.of(
        new Vector(
            "AES128_GCM",
            PredefinedAeadParameters.AES128_GCM,
            "0000002e49fa835ac15ad65a4f1586cbd982235f2d73b0effb03dd4e47a337cd1c4cc378c049c0f35bc4cd"
                + "35607c46bbdba186608dc17ad8552871cf691ede14c43cfbb83fd104382334e58fa555d3635dacc330"
                + "006f2bb085c929"),
        new Vector(
            "AES256_GCM",
            PredefinedAeadParameters.AES256_GCM,
            "0000003e8eb5d3be0d7e2bc14e1494194c0ec9c910bab75706327defde46c309f4cef4d553fc53203079fe"
                + "a183c471e2b371b60389162164c937263c9a4061731b64d7616b6fcf5419e4d91b274aa2f8b28020fa"
                + "c359daee19dbd78cd8528c07597858b3bf448a7e71b9a0"),
        new Vector(
            "AES256_CTR_HMAC_SHA256",
            PredefinedAeadParameters.AES256_CTR_HMAC_SHA256,
            "0000006ef25096aa5c59f425224f9d0859ca2e02ab17b1e91a924d5b85f18b479f328cb47002d89decef8a"
                + "352946584350939424d4278435ee188df007401ab2e3a671d9ea3efff10e9fdbf71da9fc4785e9ff33"
                + "522ed2b2425ee4ca9f6a9f1c4241fe4aca1760feb10bbd149cf98059c7be94d6a9408dd9f71948b197"
                + "e25dd20dc475501fc38134ba30f48f1c901ce071c37bb179be13796d02151ec34bac5496a87be4ca77"
                + "69dfbf6f84464d4352"),
        new Vector(
            "AES256_EAX",
            PredefinedAeadParameters.AES256_EAX,
            "000000421ad8709475afd5850fea51d291b32759779e60decca86786d2e77bb6be1411b6dc3b820e302ec4"
                + "afdd2e3c11bf025ee5865da76fcfc1898051fcc5951b4bcd1adb633960518208705cac792888968812"
                + "c59fb216705929ddeeccb301bf29e5b47d8a1d3e42e4aa2c162d00b14e8166"),
        new Vector(
            "CHACHA20_POLY1305",
            ChaCha20Poly1305Parameters.create(),
            "0000003ef84faf3d37d56db2a077ce353da094e3d3532de259dfa49d3f677a05c4085a6c71f28c19b640de"
                + "a0335da8b89f3305c5918eb05c09522f722e8f7d0b22dbe7ea9ada1a618672d23bbde8da60e5111048"
                + "c48a4abff1ebe415ec024988e8e2cdb8296672645ef76c"),
        new Vector(
            "XCHACHA20_POLY1305",
            PredefinedAeadParameters.XCHACHA20_POLY1305,
            "0000003e4dbfaa2a4169761e382ebb021ebdfd72f4e0acb9c73eb8f87ab312952f22152afb9908da3a737c"
                + "b46f473b4f2066160159a69a8a8a1aea24dec375e2215321d02a9fdc2c5c1e937bc0de56d2e842baf6"
                + "87f6d75dfe4aa248a016b9adbc7109911503aa1d1db6edfdc225bee2acd8287329ed05"));
  }

  private static AesGcmSivParameters gcmSiv() {
    try {
      return AesGcmSivParameters.builder()
          .setKeySizeBytes(16)
          .setVariant(AesGcmSivParameters.Variant.NO_PREFIX)
          .build();
    } catch (GeneralSecurityException e) {
      throw new AssertionError(e);
    }
  }

  /** The bytes 00 to 1f. */
  private static Aead oldKek() throws GeneralSecurityException {
    byte[] key = new byte[32];
    IntStream.range(0, key.length).forEach(i -> key[i] = (byte) i);
    return new AesGcmJce(key);
  }

  @ParameterizedTest
  @MethodSource("vectors")
  void ciphertextOfTink_opensAndMovesAndOpensInTink(Vector vector) throws Exception {
    Aead oldKek = oldKek();
    byte[] old = HexFormat.of().parseHex(vector.hex());
    TinkEnvelopes envelopes = TinkEnvelopes.of(vector.parameters(), rig.cipher).withOldKek(oldKek);

    assertArrayEquals(
        PLAINTEXT, KmsEnvelopeAead.create(vector.parameters(), oldKek).decrypt(old, ROW));
    assertArrayEquals(PLAINTEXT, envelopes.decrypt(old, ROW));
    assertTrue(TinkEnvelopes.inspect(old).isEmpty());
    byte[] rehomed = envelopes.rehome(old);

    assertEquals(1, TinkEnvelopes.inspect(rehomed).orElseThrow().keyVersion());
    assertArrayEquals(payload(old), payload(rehomed));
    assertArrayEquals(PLAINTEXT, envelopes.decrypt(rehomed, ROW));
    assertArrayEquals(
        PLAINTEXT,
        KmsEnvelopeAead.create(vector.parameters(), SealwaxAead.of(rig.cipher))
            .decrypt(rehomed, ROW));
    // The data key is the very bytes that Tink had made.
    byte[] dataKey = oldKek.decrypt(encryptedDataKey(old), new byte[0]);
    assertArrayEquals(
        dataKey, SealwaxAead.of(rig.cipher).decrypt(encryptedDataKey(rehomed), new byte[0]));
  }

  @Test
  void gcmSiv_withoutAProviderThatHasIt_isRefusedAtOnce() throws Exception {
    inAThreadOfItsOwn(
        () ->
            assertThrows(
                GeneralSecurityException.class,
                () -> TinkEnvelopes.of(GCM_SIV.parameters(), rig.cipher)));
  }

  @Test
  void gcmSiv_withAProviderThatHasIt_isAsTheOthers() throws Exception {
    BouncyCastleProvider provider = new BouncyCastleProvider();
    Security.addProvider(provider);
    try {
      inAThreadOfItsOwn(() -> ciphertextOfTink_opensAndMovesAndOpensInTink(GCM_SIV));
    } finally {
      Security.removeProvider(provider.getName());
    }
  }

  /** Tink remembers for each thread whether there was a provider. */
  private static void inAThreadOfItsOwn(Executable work) throws Exception {
    FutureTask<Void> task =
        new FutureTask<>(
            () -> {
              assertDoesNotThrow(work);
              return null;
            });
    new Thread(task, "gcm-siv").start();
    task.get();
  }

  @Test
  void parametersThatTinkDoesNotTake_areRefused() throws Exception {
    AeadParameters xAesGcm = XAesGcmParameters.create(XAesGcmParameters.Variant.NO_PREFIX, 12);

    assertThrows(IllegalArgumentException.class, () -> TinkEnvelopes.of(xAesGcm, rig.cipher));
  }

  static byte[] encryptedDataKey(byte[] ciphertext) {
    return Arrays.copyOfRange(ciphertext, 4, payloadPosition(ciphertext));
  }

  static byte[] payload(byte[] ciphertext) {
    return Arrays.copyOfRange(ciphertext, payloadPosition(ciphertext), ciphertext.length);
  }

  /** By hand, and right for lengths below 65,536. */
  static int payloadPosition(byte[] ciphertext) {
    return 4 + ((ciphertext[2] & 0xff) << 8) + (ciphertext[3] & 0xff);
  }
}
