package dev.sealwax.kms.examples.tink;

import com.google.crypto.tink.Aead;
import com.google.crypto.tink.InsecureSecretKeyAccess;
import com.google.crypto.tink.KeysetHandle;
import com.google.crypto.tink.TinkJsonProtoKeysetFormat;
import com.google.crypto.tink.aead.AeadConfig2026;
import com.google.crypto.tink.aead.KmsEnvelopeAead;
import com.google.crypto.tink.aead.PredefinedAeadParameters;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.SplittableRandom;

/** What somebody has who used Tink so far, for those who have nothing of the kind at hand. */
final class TinkSample {
  private TinkSample() {}

  /** A key of Tink's in a file. It stands in for the one in a KMS, which has no file. */
  static Aead writeKek(Path file) throws IOException, GeneralSecurityException {
    KeysetHandle kek =
        KeysetHandle.generateNew(PredefinedAeadParameters.AES256_GCM, AeadConfig2026.get());
    Files.writeString(
        file,
        TinkJsonProtoKeysetFormat.serializeKeyset(
            kek, AeadConfig2026.get(), InsecureSecretKeyAccess.get()));
    return kek.getPrimitive(AeadConfig2026.get(), Aead.class);
  }

  /** The same from its file, in Tink's JSON. */
  static Aead readKek(Path file) throws IOException, GeneralSecurityException {
    return TinkJsonProtoKeysetFormat.parseKeyset(
            Files.readString(file), AeadConfig2026.get(), InsecureSecretKeyAccess.get())
        .getPrimitive(AeadConfig2026.get(), Aead.class);
  }

  /** Encrypts {@code count} messages of up to 64 KiB, each bound to the name of its file. */
  static void writeCiphertexts(Path folder, int count, Aead kek)
      throws IOException, GeneralSecurityException {
    Files.createDirectories(folder);
    Aead envelopes = KmsEnvelopeAead.create(PredefinedAeadParameters.AES256_GCM, kek);
    SplittableRandom random = new SplittableRandom(42);
    for (int i = 1; i <= count; i++) {
      String name = String.format("invoice-%04d", i);
      byte[] message = new byte[random.nextInt(1 << 16)];
      random.nextBytes(message);
      byte[] associatedData = name.getBytes(StandardCharsets.UTF_8);
      Files.write(folder.resolve(name), envelopes.encrypt(message, associatedData));
    }
  }
}
