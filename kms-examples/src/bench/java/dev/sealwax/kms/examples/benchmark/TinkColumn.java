package dev.sealwax.kms.examples.benchmark;

import com.google.crypto.tink.Aead;
import com.google.crypto.tink.InsecureSecretKeyAccess;
import com.google.crypto.tink.KeysetHandle;
import com.google.crypto.tink.Parameters;
import com.google.crypto.tink.RegistryConfiguration;
import com.google.crypto.tink.StreamingAead;
import com.google.crypto.tink.TinkJsonProtoKeysetFormat;
import com.google.crypto.tink.aead.AeadConfig;
import com.google.crypto.tink.aead.KmsEnvelopeAead;
import com.google.crypto.tink.aead.PredefinedAeadParameters;
import com.google.crypto.tink.streamingaead.PredefinedStreamingAeadParameters;
import com.google.crypto.tink.streamingaead.StreamingAeadConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;

/**
 * Google Tink: a plain {@code Aead} (no envelope), or {@code KmsEnvelopeAead} (a new data key for
 * every message).
 */
final class TinkColumn implements Column {
  private final String name;
  private final Aead aead;
  private final byte[] aad = CONTEXT.toCanonicalBytes();

  private TinkColumn(String name, Aead aead) {
    this.name = name;
    this.aead = aead;
  }

  /**
   * One AES-256-GCM key for all messages: Tink at its fastest, doing less than an envelope does.
   */
  static TinkColumn plain() throws GeneralSecurityException {
    return new TinkColumn("Tink Aead", aead(newKeyset()));
  }

  /** A keyset stored as clear JSON in a file, which is made if it is missing. */
  static TinkColumn plain(Path keysetFile) throws GeneralSecurityException {
    return new TinkColumn("Tink Aead", aead(keysetIn(keysetFile)));
  }

  /**
   * Envelope encryption with a key-encryption key in this process, the counterpart of a local root
   * key.
   */
  static TinkColumn envelope() throws GeneralSecurityException {
    return envelopeUnder(aead(newKeyset()));
  }

  /** As {@link #envelope()}, the key-encryption key being stored as clear JSON in a file. */
  static TinkColumn envelope(Path keysetFile) throws GeneralSecurityException {
    return envelopeUnder(aead(keysetIn(keysetFile)));
  }

  /** Tink's streaming encryption in segments of 1 MiB, under a new key. */
  static StreamingAead streaming() throws GeneralSecurityException {
    StreamingAeadConfig.register();
    return KeysetHandle.generateNew(
            PredefinedStreamingAeadParameters.AES256_GCM_HKDF_1MB, RegistryConfiguration.get())
        .getPrimitive(RegistryConfiguration.get(), StreamingAead.class);
  }

  /** As {@link #streaming()}, the key being stored as clear JSON in a file. */
  static StreamingAead streaming(Path keysetFile) throws GeneralSecurityException {
    StreamingAeadConfig.register();
    return keyset(keysetFile, PredefinedStreamingAeadParameters.AES256_GCM_HKDF_1MB)
        .getPrimitive(RegistryConfiguration.get(), StreamingAead.class);
  }

  private static TinkColumn envelopeUnder(Aead kek) throws GeneralSecurityException {
    return new TinkColumn(
        "Tink KmsEnvelopeAead", KmsEnvelopeAead.create(PredefinedAeadParameters.AES256_GCM, kek));
  }

  private static KeysetHandle newKeyset() throws GeneralSecurityException {
    AeadConfig.register();
    return KeysetHandle.generateNew(
        PredefinedAeadParameters.AES256_GCM, RegistryConfiguration.get());
  }

  private static KeysetHandle keysetIn(Path file) throws GeneralSecurityException {
    AeadConfig.register();
    return keyset(file, PredefinedAeadParameters.AES256_GCM);
  }

  private static KeysetHandle keyset(Path file, Parameters parameters)
      throws GeneralSecurityException {
    try {
      if (Files.notExists(file)) {
        KeysetHandle created = KeysetHandle.generateNew(parameters, RegistryConfiguration.get());
        String json =
            TinkJsonProtoKeysetFormat.serializeKeyset(
                created, RegistryConfiguration.get(), InsecureSecretKeyAccess.get());
        Files.writeString(file, json);
      }
      return TinkJsonProtoKeysetFormat.parseKeyset(
          Files.readString(file), RegistryConfiguration.get(), InsecureSecretKeyAccess.get());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Aead aead(KeysetHandle keyset) throws GeneralSecurityException {
    return keyset.getPrimitive(RegistryConfiguration.get(), Aead.class);
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public byte[] encrypt(byte[] plaintext) throws GeneralSecurityException {
    return aead.encrypt(plaintext, aad);
  }

  @Override
  public byte[] decrypt(byte[] sealed) throws GeneralSecurityException {
    return aead.decrypt(sealed, aad);
  }
}
