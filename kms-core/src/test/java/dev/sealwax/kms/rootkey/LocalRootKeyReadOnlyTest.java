package dev.sealwax.kms.rootkey;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.process.WriteProtection;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A root key file in a directory that may not be written, as a mounted secret is. */
@Timeout(120)
final class LocalRootKeyReadOnlyTest {
  @TempDir Path directory;
  private Path mounted;
  private Path file;

  @BeforeEach
  void create() throws IOException {
    mounted = Files.createDirectory(directory.resolve("mounted"));
    file = RootKeyChild.fileIn(mounted);
    try (KeyMaterial sealingKey = RootKeyChild.sealingKey(1)) {
      LocalRootKey.create(file, sealingKey).close();
    }
  }

  @AfterEach
  void lift() throws IOException {
    WriteProtection.PERMISSION_BITS.lift(mounted);
  }

  static Stream<WriteProtection> protections() throws Exception {
    return WriteProtection.available();
  }

  /** [LRK-24] */
  @ParameterizedTest
  @MethodSource("protections")
  void readOnlyDirectory_isOpenedFromAndRefusesChanges(WriteProtection protection)
      throws Exception {
    byte[] before = Files.readAllBytes(file);
    assertEquals(
        List.of("open done", "change ACCESS_DENIED", "create ACCESS_DENIED"),
        attempts(protection, file));
    assertArrayEquals(before, Files.readAllBytes(file));
    try (Stream<Path> files = Files.list(mounted)) {
      assertEquals(List.of(file), files.toList());
    }
  }

  /** [LRK-24]: it is the target's directory that cannot be written. */
  @ParameterizedTest
  @MethodSource("protections")
  void linkIntoAReadOnlyDirectory_refusesToBeSealedAnew(WriteProtection protection)
      throws Exception {
    Path link = Files.createSymbolicLink(directory.resolve("link.key"), file);
    byte[] before = Files.readAllBytes(file);
    assertEquals(
        List.of("open done", "change ACCESS_DENIED", "create done"), attempts(protection, link));
    assertArrayEquals(before, Files.readAllBytes(file));
  }

  private List<String> attempts(WriteProtection protection, Path path) throws Exception {
    List<String> command = new ArrayList<>(protection.prefix(mounted));
    command.addAll(RootKeyChild.command("attempts", path.toString()));
    protection.apply(mounted);
    Process child = new ProcessBuilder(command).redirectErrorStream(true).start();
    try (BufferedReader out = child.inputReader(StandardCharsets.UTF_8)) {
      List<String> said = out.lines().filter(line -> !line.startsWith("Picked up")).toList();
      assertTrue(child.waitFor(60, TimeUnit.SECONDS), "the child hangs");
      return said;
    } finally {
      child.destroyForcibly();
    }
  }
}
