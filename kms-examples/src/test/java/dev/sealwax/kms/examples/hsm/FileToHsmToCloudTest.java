package dev.sealwax.kms.examples.hsm;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.sealwax.kms.examples.remote.MotoServer;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** With a SoftHSM and an emulator of AWS, in a JVM of its own as SoftHSM needs it. */
final class FileToHsmToCloudTest {
  @TempDir private Path directory;

  @Test
  void keyset_fromAFileOverAnHsmIntoTheCloud_opensEverythingEverywhere() throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (MotoServer cloud = MotoServer.start();
        PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8)) {
      List<String> endpoint = List.of(cloud.endpoint().toString());
      assertEquals(0, SoftHsm.run(FileToHsmToCloud.class, directory, endpoint, out));
    }
    assertEquals(
        """
        file: 2 of 2 open
        HSM: 4 of 4 open
        one of HSM and cloud: 4 of 4 open
        one of HSM and cloud: 4 of 4 open
        HSM and cloud: 6 of 6 open
        cloud: 6 of 6 open
        """,
        bytes.toString(StandardCharsets.UTF_8));
  }
}
