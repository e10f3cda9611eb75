package dev.sealwax.kms.aws;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Keeps what an application downloads with kms-aws-adapter small: kms-core and its jars, the SDK's
 * for KMS, and no HTTP client or DynamoDB, which are optional.
 */
final class RuntimeClosureTest {
  private static final int MAX_JARS = 35;
  private static final long MAX_BYTES = 17_000_000;

  private static final Pattern OPTIONAL =
      Pattern.compile("(dynamodb|url-connection-client)-[0-9].*");

  @Test
  void runtimeClosure_staysSmall() throws IOException {
    String list = System.getProperty("sealwax.runtimeClasspathFile", "not set");
    List<Path> jars =
        Stream.of(Files.readString(Path.of(list)).strip().split(File.pathSeparator, -1))
            .map(Path::of)
            .filter(jar -> !OPTIONAL.matcher(String.valueOf(jar.getFileName())).matches())
            .toList();
    long bytes = 0;
    for (Path jar : jars) {
      bytes += Files.isRegularFile(jar) ? Files.size(jar) : 0;
    }
    String figure =
        String.format(
            "runtime closure of kms-aws-adapter: %d jars, %.1f MB (at most %d, %.1f MB): %s",
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
            .filter(name -> name.matches("(netty|apache-client|apache5-client|httpc).*"))
            .toList(),
        "HTTP clients that nobody chose");
  }
}
