package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/**
 * Tells the first run in a work directory from later ones: the first one makes the keysets and
 * leaves an envelope behind, which no run moves to another key version and every run opens.
 */
final class FirstRun {
  static final String COLUMNS = "columns";
  static final String FILES = "files";

  private static final EncryptionContext CONTEXT = EncryptionContext.of("purpose", "first run");

  private final Path file;
  private final Kms kms;
  private final Terminal terminal;

  FirstRun(Path workDirectory, Kms kms, Terminal terminal) {
    this.file = workDirectory.resolve("first-run.swx1");
    this.kms = kms;
    this.terminal = terminal;
  }

  void findOrStart() throws IOException {
    Keyset columns = openOrCreate(COLUMNS);
    openOrCreate(FILES);
    EnvelopeCipher cipher = kms.envelopeCipher(COLUMNS);
    if (Files.exists(file)) {
      String sealed = Files.readString(file).strip();
      String when = new String(cipher.decryptText(sealed, CONTEXT), StandardCharsets.UTF_8);
      terminal.say(
          "keys of the first run (%s) found: its envelope, under version %d, opens; newest is %d",
          when, EnvelopeInfo.inspectText(sealed).keyVersion(), columns.versions().size());
    } else {
      String now = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
      String sealed = cipher.encryptToText(now.getBytes(StandardCharsets.UTF_8), CONTEXT);
      AtomicFile.write(file, sealed.getBytes(StandardCharsets.US_ASCII));
      terminal.say("new keys in %s; the next run will find them", file.getParent());
    }
  }

  private Keyset openOrCreate(String name) {
    try {
      return kms.keysets().get(name);
    } catch (KeysetStoreException e) {
      if (e.reason() != KeysetStoreException.Reason.NOT_FOUND) {
        throw e;
      }
      return kms.keysets().create(name, KeysetTemplate.defaults().withOwner("the demo"));
    }
  }
}
