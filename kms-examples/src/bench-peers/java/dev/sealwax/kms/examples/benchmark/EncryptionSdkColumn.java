package dev.sealwax.kms.examples.benchmark;

import com.amazonaws.encryptionsdk.AwsCrypto;
import com.amazonaws.encryptionsdk.CommitmentPolicy;
import com.amazonaws.encryptionsdk.CryptoAlgorithm;
import com.amazonaws.encryptionsdk.CryptoMaterialsManager;
import com.amazonaws.encryptionsdk.DefaultCryptoMaterialsManager;
import com.amazonaws.encryptionsdk.caching.CachingCryptoMaterialsManager;
import com.amazonaws.encryptionsdk.caching.LocalCryptoMaterialsCache;
import com.amazonaws.encryptionsdk.jce.JceMasterKey;
import java.security.SecureRandom;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import javax.crypto.spec.SecretKeySpec;

/**
 * AWS Encryption SDK under a master key in this process: key-committing and unsigned, which is its
 * fastest committing suite, with a data key per message or with its caching materials manager.
 */
final class EncryptionSdkColumn implements Column {
  private static final int CACHED_DATA_KEYS = 100;

  private final String name;
  private final CryptoMaterialsManager materials;
  private final AwsCrypto crypto =
      AwsCrypto.builder()
          .withCommitmentPolicy(CommitmentPolicy.RequireEncryptRequireDecrypt)
          .withEncryptionAlgorithm(CryptoAlgorithm.ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY)
          .build();
  // Its context is pairs too.
  private final Map<String, String> context = Map.copyOf(CONTEXT.asMap());

  private EncryptionSdkColumn(String name, CryptoMaterialsManager materials) {
    this.name = name;
    this.materials = materials;
  }

  /** A fresh data key for every message. */
  static EncryptionSdkColumn perMessage() {
    return new EncryptionSdkColumn("AWS Encryption SDK", materials());
  }

  /** Data keys cached for an hour. */
  static EncryptionSdkColumn caching() {
    return new EncryptionSdkColumn(
        "AWS Encryption SDK, caching",
        CachingCryptoMaterialsManager.newBuilder()
            .withBackingMaterialsManager(materials())
            .withCache(new LocalCryptoMaterialsCache(CACHED_DATA_KEYS))
            .withMaxAge(1, TimeUnit.HOURS)
            .build());
  }

  private static CryptoMaterialsManager materials() {
    byte[] key = new byte[32];
    new SecureRandom().nextBytes(key);
    return new DefaultCryptoMaterialsManager(
        JceMasterKey.getInstance(
            new SecretKeySpec(key, "AES"), "benchmark", "key", "AES/GCM/NoPadding"));
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public byte[] encrypt(byte[] plaintext) {
    return crypto.encryptData(materials, plaintext, context).getResult();
  }

  @Override
  public byte[] decrypt(byte[] sealed) {
    return crypto.decryptData(materials, sealed).getResult();
  }
}
