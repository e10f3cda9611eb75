package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.process.WriteProtection;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A directory of keysets that has become read-only: everything is read, and what happens to it is
 * heard of; nothing is written, and nothing is lost.
 *
 * <p>For a process of its own, which is held to it even if it is root's.
 */
@Timeout(120)
final class FileKeysetStoreReadOnlyTest {
  private static final String NAME = ReadOnlyStoreChild.ORDERS.value();

  @TempDir Path directory;
  private Path keysets;

  @BeforeEach
  void create() throws Exception {
    keysets = directory.resolve("keysets");
    try (KeyMaterial sealingKey = KeyMaterial.copyOf(new byte[32])) {
      LocalRootKey.create(directory.resolve("root.key"), sealingKey).close();
    }
    try (Kms kms = kms()) {
      kms.keysets().create(NAME, KeysetTemplate.defaults());
      kms.keysets().rotate(NAME);
      Files.write(
          directory.resolve("envelope"),
          kms.envelopeCipher(NAME).encrypt(new byte[7], ReadOnlyStoreChild.CONTEXT));
    }
  }

  @AfterEach
  void letGo() throws IOException {
    WriteProtection.PERMISSION_BITS.lift(keysets);
  }

  private Kms kms() {
    return ReadOnlyStoreChild.kms(directory, FileKeysetStore.at(keysets));
  }

  static Stream<WriteProtection> protections() throws Exception {
    return WriteProtection.available();
  }

  @ParameterizedTest
  @MethodSource("protections")
  void readOnlyDirectory_isReadAndHeardOfAndNotWritten(WriteProtection protection)
      throws Exception {
    protection.apply(keysets);
    List<String> command = new ArrayList<>(protection.prefix(keysets));
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-Xmx96m",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("java.class.path"),
            ReadOnlyStoreChild.class.getName(),
            directory.toString()));
    Path errors = directory.resolve("errors");
    Map<String, byte[]> before = files();
    List<String> said = new ArrayList<>();
    Process child = new ProcessBuilder(command).redirectError(errors.toFile()).start();
    try (BufferedReader out = child.inputReader(StandardCharsets.UTF_8)) {
      for (String line = out.readLine(); line != null; line = out.readLine()) {
        said.add(line);
        if (line.equals("waiting")) {
          requireSame(before, files());
          protection.lift(keysets);
          rotate();
          protection.apply(keysets);
          before = files();
          child.getOutputStream().write('\n');
          child.getOutputStream().flush();
        }
      }
      assertTrue(child.waitFor(60, TimeUnit.SECONDS), "the child hangs");
    } finally {
      child.destroyForcibly();
    }

    List<String> expected =
        new ArrayList<>(List.of("list [orders][]", "load 2", "decrypt 7", "encrypt 5"));
    expected.addAll(Collections.nCopies(6, "INACCESSIBLE"));
    expected.addAll(List.of("unchanged []", "waiting", "changed [orders]", "primary 3"));
    expected.addAll(Collections.nCopies(6, "INACCESSIBLE"));
    expected.add("end");
    assertEquals(expected, said, Files.readString(errors));
    requireSame(before, files());

    protection.lift(keysets);
    try (Kms kms = kms()) {
      assertEquals(4, kms.keysets().rotate(NAME).primary());
      assertEquals(
          7,
          kms.envelopeCipher(NAME)
              .decrypt(
                  Files.readAllBytes(directory.resolve("envelope")), ReadOnlyStoreChild.CONTEXT)
              .length);
    }
  }

  private void rotate() {
    try (Kms kms = kms()) {
      kms.keysets().rotate(NAME);
    }
  }

  private Map<String, byte[]> files() throws IOException {
    Map<String, byte[]> contents = new TreeMap<>();
    try (Stream<Path> files = Files.list(keysets)) {
      for (Path file : files.toList()) {
        contents.put(file.getFileName().toString(), Files.readAllBytes(file));
      }
    }
    return contents;
  }

  private static void requireSame(Map<String, byte[]> expected, Map<String, byte[]> found) {
    assertEquals(expected.keySet(), found.keySet());
    expected.forEach((name, content) -> assertArrayEquals(content, found.get(name), name));
  }
}
