package dev.sealwax.kms.tink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Keeps what an application downloads with kms-tink small: kms-core and its jars, Tink's. */
final class RuntimeClosureTest {
  private static final int MAX_JARS = 13;
  private static final long MAX_BYTES = 17_000_000;

  @Test
  void runtimeClosure_staysSmall() throws IOException {
    String list = System.getProperty("sealwax.runtimeClasspathFile", "not set");
    List<Path> jars =
        Stream.of(Files.readString(Path.of(list)).strip().split(File.pathSeparator, -1))
            .map(Path::of)
            .toList();
    long bytes = 0;
    for (Path jar : jars) {
      bytes += Files.isRegularFile(jar) ? Files.size(jar) : 0;
    }
    String figure =
        String.format(
            "runtime closure of kms-tink: %d jars, %.1f MB (at most %d, %.1f MB): %s",
            jars.size(),
            bytes / 1e6,
            MAX_JARS,
            MAX_BYTES / 1e6,
            jars.stream().map(jar -> String.valueOf(jar.getFileName())).toList());
    System.out.println(figure);
    assertTrue(jars.size() <= MAX_JARS && bytes <= MAX_BYTES, figure);
    assertEquals(
        List.of(),
        jars.stream()
            .map(jar -> String.valueOf(jar.getFileName()))
            .filter(name -> name.matches("(tink-awskms|aws|jsr305|guava).*"))
            .toList(),
        "what only tests need");
  }
}
