package dev.sealwax.kms;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Keeps what an application downloads with kms-core small. */
class RuntimeClosureTest {
  private static final int MAX_JARS = 18;
  private static final long MAX_BYTES = 17_000_000;

  @Test
  void runtimeClosure_staysSmall() throws IOException {
    String list = System.getProperty("sealwax.runtimeClasspathFile", "not set");
    String[] jars = Files.readString(Path.of(list)).strip().split(File.pathSeparator, -1);
    long bytes = 0;
    for (String jar : jars) {
      bytes += Files.size(Path.of(jar));
    }
    String figure =
        String.format(
            "runtime closure of kms-core: %d jars, %.1f MB (at most %d jars, %.1f MB): %s",
            jars.length,
            bytes / 1e6,
            MAX_JARS,
            MAX_BYTES / 1e6,
            Stream.of(jars).map(jar -> String.valueOf(Path.of(jar).getFileName())).toList());
    System.out.println(figure);
    assertTrue(jars.length <= MAX_JARS && bytes <= MAX_BYTES, figure);
  }
}
