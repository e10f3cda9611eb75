package dev.sealwax.kms.pkcs11;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Programs and libraries that tests use; a missing one fails the test and is never skipped. */
final class Tools {
  private static final List<String> LIBRARY_DIRECTORIES =
      List.of(
          "/usr/lib/" + architecture() + "-linux-gnu",
          "/usr/lib64",
          "/usr/lib",
          "/opt/homebrew/lib");

  private Tools() {}

  private static String architecture() {
    return System.getProperty("os.arch").equals("aarch64") ? "aarch64" : "x86_64";
  }

  /** The first of these files below a directory for libraries. */
  static Path library(String... names) {
    for (String directory : LIBRARY_DIRECTORIES) {
      for (String name : names) {
        Path file = Path.of(directory, name);
        if (Files.isRegularFile(file)) {
          return file;
        }
      }
    }
    return fail("none of " + List.of(names) + " is installed; run .ci/setup");
  }

  /** Runs a program to its end and returns what it printed. */
  static String run(Map<String, String> environment, String... command) {
    try {
      ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
      builder.environment().putAll(environment);
      Process process = builder.start();
      process.getOutputStream().close();
      String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertTrue(process.waitFor(30, TimeUnit.SECONDS), () -> command[0] + " does not end");
      assertEquals(0, process.exitValue(), () -> List.of(command) + " printed: " + printed);
      return printed;
    } catch (IOException e) {
      return fail(command[0] + " cannot be run; run .ci/setup", e);
    } catch (InterruptedException e) {
      return fail(e);
    }
  }
}
