package dev.sealwax.kms.examples;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class InPlaceRewrapTest {
  @TempDir Path directory;

  @Test
  void rewrap_changesTheHeaderAloneAndLeavesNothingBehind() throws IOException {
    try (Kms kms = kms()) {
      EnvelopeCipher cipher = kms.envelopeCipher("files");
      Path file = directory.resolve("a.swx");
      byte[] before = cipher.encrypt(new byte[100_000], EncryptionContext.empty());
      Files.write(file, before);
      kms.keysets().rotate("files");

      InPlaceRewrap.rewrap(cipher, file);

      byte[] after = Files.readAllBytes(file);
      int header = EnvelopeInfo.inspect(after).headerLengthBytes();
      assertEquals(2, EnvelopeInfo.inspect(after).keyVersion());
      assertEquals(-1, Arrays.mismatch(before, header, before.length, after, header, after.length));
      assertEquals(0, InPlaceRewrap.recover(directory));
    }
  }

  @Test
  void recover_afterAHalfWrittenHeader_putsTheOldOneBack() throws IOException {
    try (Kms kms = kms()) {
      EnvelopeCipher cipher = kms.envelopeCipher("files");
      byte[] envelope = cipher.encrypt(new byte[10], EncryptionContext.empty());
      Path file = directory.resolve("deep/a.swx");
      Files.createDirectory(directory.resolve("deep"));
      int header = EnvelopeInfo.inspect(envelope).headerLengthBytes();
      Files.write(directory.resolve("deep/a.swx.old-header"), Arrays.copyOf(envelope, header));
      Files.write(directory.resolve("deep/.half.unfinished"), new byte[5]);
      byte[] torn = envelope.clone();
      Arrays.fill(torn, 10, 40, (byte) 0);
      Files.write(file, torn);

      assertEquals(2, InPlaceRewrap.recover(directory));

      assertArrayEquals(envelope, Files.readAllBytes(file));
      try (Stream<Path> files = Files.list(directory.resolve("deep"))) {
        assertFalse(files.anyMatch(path -> !path.equals(file)));
      }
    }
  }

  private Kms kms() {
    Kms kms =
        Kms.builder()
            .rootKey(
                LocalRootKey.create(
                    directory.resolve("root.key"), "a passphrase for tests".toCharArray()))
            .store(InMemoryKeysetStore.create())
            .build();
    kms.keysets().create("files", KeysetTemplate.defaults());
    return kms;
  }
}
