package dev.sealwax.kms.pkcs11;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.RoutingRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Whole keysets under a root key in a token: whatever moves, every earlier envelope opens. */
@Timeout(60)
final class KeysetsOnTokenTest {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "42");
  private static final byte[] PLAINTEXT = {1, 2, 3};

  @TempDir private Path directory;
  private final List<byte[]> envelopes = new ArrayList<>();

  private Kms open(RootKey rootKey) {
    return Kms.builder()
        .rootKey(rootKey)
        .store(FileKeysetStore.at(directory.resolve("keysets")))
        .build();
  }

  private void encrypt(Kms kms) {
    envelopes.add(kms.envelopeCipher("orders").encrypt(PLAINTEXT, ROW));
    kms.keysets().rotate("orders");
    envelopes.add(kms.envelopeCipher("orders").encrypt(PLAINTEXT, ROW));
  }

  private void assertEverythingOpens(Kms kms) {
    for (byte[] envelope : envelopes) {
      assertArrayEquals(PLAINTEXT, kms.envelopeCipher("orders").decrypt(envelope, ROW));
    }
  }

  private static Set<RootKeyId> rootKeysOf(Kms kms) {
    return kms.keysets().get("orders").versions().stream()
        .map(version -> version.rootKeyId().orElseThrow())
        .collect(Collectors.toSet());
  }

  @Test
  void keysets_moveFromAFileToTheTokenAndFromVersionToVersion() {
    new SoftHsm(directory).withToken("kms");
    String first;
    String second;
    try (Pkcs11Token token = Pkcs11Token.open(SoftHsm.config("pkcs11:token=kms"))) {
      first = token.createRootKey("root", RootKeySpec.AES_256).uri();
      second = token.rotateRootKey("root", RootKeySpec.AES_256).uri();
    }
    Path file = directory.resolve("root.key");
    try (KeyMaterial sealing = KeyMaterial.copyOf(new byte[32])) {
      LocalRootKey.create(file, sealing).close();
      try (Kms kms = open(LocalRootKey.open(file, sealing))) {
        kms.keysets().create("orders", KeysetTemplate.defaults());
        encrypt(kms);
      }
      try (Pkcs11RootKey next = Pkcs11RootKey.open(SoftHsm.config(first));
          Kms kms =
              open(
                  RoutingRootKey.of(
                      Pkcs11RootKey.open(SoftHsm.config(first)),
                      LocalRootKey.open(file, sealing)))) {
        kms.keysets().moveToRootKey("orders", next);
        assertEquals(Set.of(next.currentKeyId()), rootKeysOf(kms));
        assertEverythingOpens(kms);
      }
    }
    RootKeyId firstId;
    try (Kms kms = open(Pkcs11RootKey.open(SoftHsm.config(first)))) {
      assertEverythingOpens(kms);
      encrypt(kms);
      firstId = rootKeysOf(kms).iterator().next();
    }
    // The next version of the root key opens what the first wrapped, before and after the move.
    Pkcs11RootKey rotated = Pkcs11RootKey.open(SoftHsm.config(second));
    try (Kms kms = open(rotated)) {
      assertEverythingOpens(kms);
      encrypt(kms);
      kms.keysets().moveToRootKey("orders", rotated);
      assertNotEquals(firstId, rotated.currentKeyId());
      assertEquals(Set.of(rotated.currentKeyId()), rootKeysOf(kms));
      encrypt(kms);
      assertEverythingOpens(kms);
    }
    try (Kms kms = open(Pkcs11RootKey.open(SoftHsm.config(second)))) {
      assertEquals(8, envelopes.size());
      assertEverythingOpens(kms);
    }
  }
}
