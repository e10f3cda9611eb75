package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import java.io.ByteArrayInputStream;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/**
 * One cipher never opens what belongs to another keyset, also when the data key is cached and the
 * names are equally long.
 */
final class OtherKeysetTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.of("table", "t");

  @TempDir Path directory;
  private Kms kms;
  private EnvelopeCipher north;
  private EnvelopeCipher south;

  @BeforeEach
  void open() {
    LocalRootKey rootKey =
        LocalRootKey.create(directory.resolve("root.key"), KeyMaterial.copyOf(new byte[32]));
    kms = Kms.builder().rootKey(rootKey).store(InMemoryKeysetStore.create()).build();
    kms.keysets().create("north", KeysetTemplate.defaults());
    kms.keysets().create("south", KeysetTemplate.defaults());
    north = kms.envelopeCipher("north");
    south = kms.envelopeCipher("south");
  }

  @AfterEach
  void close() {
    kms.close();
  }

  @Test
  void decrypt_cachedKeyOfAnotherKeyset_throwsOtherKeyset() {
    byte[] small = north.encrypt(new byte[100], CONTEXT);
    byte[] large = north.encrypt(new byte[100_000], CONTEXT);

    assertOtherKeyset(() -> south.decrypt(small, CONTEXT));
    assertOtherKeyset(() -> south.decrypt(large, CONTEXT));
    assertOtherKeyset(() -> south.decryptingStream(new ByteArrayInputStream(large), CONTEXT));
  }

  @Test
  void decrypt_otherKeysetDisabled_isNoWayAround() {
    byte[] sealed = north.encrypt(new byte[100], CONTEXT);
    kms.keysets().disable("north", 1);

    assertOtherKeyset(() -> south.decrypt(sealed, CONTEXT));
  }

  private static void assertOtherKeyset(Executable operation) {
    KeyUnavailableException failure = assertThrows(KeyUnavailableException.class, operation);
    assertEquals(KeyUnavailableException.Reason.OTHER_KEYSET, failure.reason());
  }
}
