package dev.sealwax.kms.examples.tink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.crypto.tink.Aead;
import com.google.crypto.tink.aead.KmsEnvelopeAead;
import com.google.crypto.tink.aead.PredefinedAeadParameters;
import dev.sealwax.kms.examples.InputException;
import dev.sealwax.kms.examples.Terminal;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** As a user runs it: without arguments, and on ciphertexts of their own. */
final class MoveFromTinkTest {
  private static final byte[] MESSAGE = "4 lamps, blue".getBytes(StandardCharsets.UTF_8);

  @TempDir private Path directory;

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);

  private boolean run(String... arguments) throws Exception {
    Path work = Files.createTempDirectory(directory, "work");
    return MoveFromTink.run(work, List.of(arguments), new Terminal(out, out, null, null));
  }

  private String printed() {
    return bytes.toString(StandardCharsets.UTF_8);
  }

  @Test
  void sample_movesAndNeedsItsOldKeyNoMore() throws Exception {
    assertTrue(run(), this::printed);

    assertEquals(
        """
        re-homed   200; payload bytes identical in 200
        again      200 are in place, and left unchanged
        opened     200 to the same message, by Tink and by TinkEnvelopes
        rewrapped  200, now under key versions {2=200}
        version 1  disabled, the old key unused: 200 open by plain Tink
          refused  a bit of the header      DecryptionFailedException
          refused  a bit of the payload     DecryptionFailedException
          refused  other associated data    DecryptionFailedException
          refused  an old one, without key  MalformedEnvelopeException
        """,
        printed().replaceAll("(found|results) [^\n]*\n", ""));
  }

  @Test
  void ownFolder_movesWhatIsOfTinkAndNamesTheRest() throws Exception {
    Path folder = Files.createDirectory(directory.resolve("mine"));
    Path kekFile = directory.resolve("kek.json");
    Aead tink =
        KmsEnvelopeAead.create(PredefinedAeadParameters.AES128_GCM, TinkSample.writeKek(kekFile));
    byte[] good = tink.encrypt(MESSAGE, "all".getBytes(StandardCharsets.UTF_8));
    Files.write(folder.resolve("good"), good);

    assertTrue(run(folder.toString(), kekFile.toString(), "all"), this::printed);
    assertTrue(printed().contains("opened     1 to the same message"), this::printed);
    assertEquals(List.of("good"), List.of(folder.toFile().list()), "the folder was written to");

    bytes.reset();
    Files.write(folder.resolve("bad"), MESSAGE);
    Files.write(folder.resolve("cut"), Arrays.copyOf(good, good.length - 1));
    assertFalse(run(folder.toString(), kekFile.toString(), "all"), this::printed);
    assertTrue(printed().contains("  failed   bad: malformed envelope: length"), this::printed);
    assertTrue(printed().contains("re-homed   2; payload bytes identical in 2"), this::printed);
    assertTrue(printed().contains("opened     1 to the same message"), this::printed);
  }

  @Test
  void wrongArguments_areToldSo() throws Exception {
    assertThrows(InputException.class, () -> run("one"));
    Path noKek = Files.writeString(directory.resolve("no.json"), "{}");
    String message =
        assertThrows(InputException.class, () -> run(directory.toString(), noKek.toString()))
            .getMessage();
    assertTrue(message.contains("is no keyset in Tink's JSON"), message);
  }
}
